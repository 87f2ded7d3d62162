// A training whose steps are recorded ends in the bits of an eager one, whatever falls between the
// warm-up and the recording: a smaller batch, an evaluation that needs more scratch memory, a
// resume, importance that begins to be observed, memory that somebody holds.

#include "engine/optim/sgd.h"
#include "kernels/core/context.h"
#include "models/zoo/arch_options.h"
#include "scaling/importance/importance.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 5;

struct Case {
  const char* name;
  std::int64_t images, batch;
  std::int64_t watched = 0;     // last steps of which importance is kept
  std::int64_t interrupt = -1;  // after so many steps, and resumed
  bool vgg = false;             // the network whose training broke first, else a tiny one
  bool streamed = false;        // cropped at random: batches come from the host
};

class CapturedTraining : public testing::TestWithParam<Case> {
 protected:
  // Three epochs, then weights, statistics and importance.
  static Numbers end_of(const Case& c, LaunchMode launch) {
    const Architecture arch =
        c.vgg ? resolve("vgg11", {.width = 0.125, .classes = 10}) : tiny_net();
    TrainConfig config = tiny_config(c.images, c.batch);
    config.data.limit_test = 40;
    config.data.resolution = arch.resolution;
    config.data.classes = arch.classes;
    config.label_smoothing = 0.1;
    config.epochs = 3;
    config.launch = launch;
    if (c.streamed) {
      config.transforms = {.random_resized_crop = RandomResizedCrop{},
                           .color_jitter = ColorJitter{0.4, 0.4, 0.4, 0.1},
                           .random_erasing = RandomErasing{}};
      config.mixup = config.cutmix = 1;
    }
    const TempFolder folder;
    ImportanceObserver observer(c.watched);
    Model model(arch, kSeed, kSimt);
    const DataSplit data = open_data(config.data);
    if (launch == LaunchMode::graph && c.interrupt >= 0) {
      config.out = folder.file("run");
      config.max_steps = c.interrupt;
      Model first(arch, kSeed, kSimt);
      ImportanceObserver nothing(c.watched);
      train(first, data, config, &nothing);
      config.max_steps = -1;
      config.resume = true;
    }
    train(model, data, config, &observer);
    EXPECT_EQ(observer.observed(), c.watched);
    model.zero_grad();
    Numbers all = numbers_of(model);
    if (c.watched == 0) return all;
    for (const LayerImportance& layer : observer.result(model)) {
      all["importance of " + layer.layer] = {layer.kernels.begin(), layer.kernels.end()};
    }
    return all;
  }
};

TEST_P(CapturedTraining, EndsInTheBitsOfAnEagerOne) {
  expect_same_bits(end_of(GetParam(), LaunchMode::graph), end_of(GetParam(), LaunchMode::eager));
}

// Steps an epoch: one; 8 and 6 images; 8, 8 and 4, of which the second is the last whole batch.
INSTANTIATE_TEST_SUITE_P(Cases, CapturedTraining,
                         testing::Values(Case{"ABatchAnEpoch", 10, 10, 0, -1, true},
                                         Case{"AWholeBatchAndASmallerOne", 14, 8, 0, -1, true},
                                         Case{"ALastBatchThatIsSmaller", 12, 5, 4},
                                         Case{"ResumedAtTheLastWholeBatch", 20, 8, 0, 1},
                                         Case{"ImportanceFromTheLastWholeBatch", 20, 8, 8},
                                         Case{"ImportanceFromTheLastStep", 8, 8, 1},
                                         Case{"StreamedAndResumed", 20, 8, 0, 4, false, true}),
                         [](const auto& info) { return info.param.name; });

TEST(CapturedTraining, IsAConfigErrorOnTheCpu) {
  TrainConfig config = tiny_config(10, 4);
  config.launch = LaunchMode::graph;
  Model model(tiny_net(), kSeed);
  EXPECT_THROW(train(model, open_data(config.data), config), ConfigError);
}

// ---- What cannot be recorded at first, and at all ----

TEST(CapturedStep, IsRecordedAfterOneWarmUpAlthoughScratchMemoryWasGivenBack) {
  Model model(tiny_net(), kSeed, kSimt);
  Sgd sgd(model.parameters(), {});
  CapturedStep steps(model, sgd);
  steps.run(noise_batch(0), 0.1, 0);
  Context::current(kSimt).release_scratch();
  steps.run(noise_batch(1), 0.1, 1);
  EXPECT_TRUE(steps.recorded());
}

TEST(CapturedStep, WarmsUpAgainWhereMemoryOfTheWarmUpIsHeld) {
  Model held(tiny_net(), kSeed, kSimt), free(tiny_net(), kSeed, kSimt);
  Sgd held_sgd(held.parameters(), {}), free_sgd(free.parameters(), {});
  CapturedStep held_steps(held, held_sgd), free_steps(free, free_sgd);
  StepResult first;  // with its probabilities
  for (int step = 0; step < 4; ++step) {
    const StepResult result = held_steps.run(noise_batch(step), 0.1, step);
    if (step == 0) first = result;
    EXPECT_EQ(result.loss, free_steps.run(noise_batch(step), 0.1, step).loss) << step;
    EXPECT_EQ(held_steps.recorded(), step > 1) << step;
    EXPECT_EQ(free_steps.recorded(), step > 0) << step;
    expect_same_bits(held, free);
  }
}

// Reads a number on the host in the middle of a step.
struct Reader final : StepObserver {
  bool wants(std::int64_t, std::int64_t) const override { return true; }
  void accumulate(const Model& model, const Tensor&) override {
    model.parameters().front().var.grad().to_vector();
  }
  void count_step() override {}
  std::map<std::string, Tensor> state() const override { return {}; }
  void load_state(const std::map<std::string, Tensor>&) override {}
};

TEST(CapturedStep, SaysWhatCanNeverBeRecorded) {
  Model model(tiny_net(), kSeed, kSimt);
  Sgd sgd(model.parameters(), {});
  CapturedStep steps(model, sgd);
  Reader reader;
  steps.run(noise_batch(0), 0.1, 0, &reader);
  steps.run(noise_batch(1), 0.1, 1, &reader);
  EXPECT_ERROR(steps.run(noise_batch(2), 0.1, 2, &reader), DeviceError, "copy_out");
}

}  // namespace
}  // namespace hac
