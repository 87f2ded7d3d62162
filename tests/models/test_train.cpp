// The training loop: it learns, resumes bit for bit from any step, and refuses to go on without
// finite numbers.

#include <array>
#include <cmath>
#include <regex>

#include "kernels/core/isa.h"
#include "models/zoo/arch_options.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 3;

DataConfig small_data() {
  return {.name = "synthetic", .limit_train = 100, .limit_test = 50, .classes = 5};
}

Architecture small_net() { return resolve("vgg11", {.width = 0.125, .classes = 5}); }

TrainConfig quiet_config(const std::string& out) {
  TrainConfig c{.data = small_data(), .epochs = 3, .batch = 32};
  c.schedule = {.kind = ScheduleKind::cosine, .lr = 0.05};
  c.seed = kSeed;
  c.out = out;
  c.quiet = true;
  return c;
}

class Train : public InFolder {
 protected:
  const DataSplit data = open_data(small_data());
};

TEST_F(Train, EqualSeedsGiveEqualBitsAndOtherSeedsDoNot) {
  Model a(small_net(), kSeed), b(small_net(), kSeed), c(small_net(), kSeed + 1);
  train(a, data, quiet_config(""));
  train(b, data, quiet_config(""));
  expect_same_bits(a, b);
  EXPECT_NE(std::memcmp(a.state().at("features.0.weight").data(),
                        c.state().at("features.0.weight").data(), 64),
            0);
}

// 4 steps an epoch: stops inside the first epoch, at its end and inside the second.
class TrainIn : public Train, public testing::WithParamInterface<Dtype> {
 protected:
  void TearDown() override { set_num_threads(0); }
};

TEST_P(TrainIn, ResumesFromAnyStepBitForBit) {
  const Dtype dtype = GetParam();
  if (dtype == Dtype::bf16 && !cpu::has_bf16()) GTEST_SKIP() << "no bf16: " << cpu::isa_name();
  // Threads of oneDNN spin for each other in bf16, minutes long where tests run side by side.
  set_num_threads(dtype == Dtype::bf16 ? 1 : 0);
  const TempFolder whole_folder;
  Model whole(small_net(), kSeed, {}, dtype);
  const TrainResult expected = train(whole, data, quiet_config(whole_folder.file("run")));
  for (const std::int64_t stop : {1, 4, 6}) {
    const TempFolder folder;
    TrainConfig config = quiet_config(folder.file("run"));
    config.max_steps = stop;
    Model first(small_net(), kSeed, {}, dtype);
    train(first, data, config);
    config.max_steps = -1;
    config.resume = true;
    Model second(small_net(), kSeed + 7, {}, dtype);  // overwritten by the checkpoint
    const TrainResult result = train(second, data, config);
    expect_same_bits(whole, second);
    EXPECT_EQ(result.steps, expected.steps) << "stopped at " << stop;
    EXPECT_EQ(result.test.top1, expected.test.top1);
    EXPECT_EQ(result.epoch, expected.epoch);
    EXPECT_EQ(lines_of(folder.file("run/log.jsonl")).size(), 3u);
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, TrainIn, testing::Values(Dtype::f32, Dtype::bf16),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_F(Train, MixingAndTransformsResumeBitForBitAndChangeWhatIsLearned) {
  TrainConfig config = quiet_config("");
  config.epochs = 2;
  Model plain(small_net(), kSeed), whole(small_net(), kSeed);
  train(plain, data, config);
  config.mixup = 0.4;
  config.cutmix = 1;
  config.transforms = {.auto_augment = AutoAugment{}, .random_erasing = RandomErasing{.p = 0.8}};
  train(whole, data, config);
  EXPECT_NE(std::memcmp(plain.state().at("features.0.weight").data(),
                        whole.state().at("features.0.weight").data(), 64),
            0);
  config.out = folder.file("run");
  config.max_steps = 3;
  Model first(small_net(), kSeed), second(small_net(), kSeed + 7);
  train(first, data, config);
  config.max_steps = -1;
  config.resume = true;
  train(second, data, config);
  expect_same_bits(whole, second);
  for (const double other : {0.0, 0.5}) {
    config.mixup = other;
    EXPECT_THROW(train(second, data, config), ConfigError) << "resumed with mixup " << other;
  }
  config.mixup = 0.4;
  config.transforms.random_erasing.reset();
  EXPECT_ERROR(train(second, data, config), ConfigError, "trained with transforms = {");
}

// The batches are made there, by ResidentLoader.
TEST_F(Train, OnSimtIsTheTrainingOfTheCpu) {
  TrainConfig config = quiet_config("");
  config.batch = 4;
  config.max_steps = 3;
  config.mixup = config.cutmix = 1;
  config.schedule = {.kind = ScheduleKind::constant, .lr = 1e-2};
  Model cpu(small_net(), kSeed), simt(small_net(), kSeed, kSimt);
  train(cpu, data, config);
  train(simt, data, config);
  const auto expected = cpu.state(), got = simt.state();
  for (const auto& [name, tensor] : expected) {
    const std::vector<float> a = tensor.to_vector(), b = got.at(name).to_vector();
    float largest = 1e-2f;
    for (const float v : a) largest = std::max(largest, std::abs(v));
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(a[i], b[i], 1e-4 * largest) << name << " at " << i << " seed " << kSeed;
    }
  }
}

// On simt the test set lies on the device and its batches are made there.
TEST_F(Train, EvaluatesOnSimtAsOnTheCpu) {
  Architecture larger = small_net();
  larger.resolution = 40;  // images are resized
  for (const Architecture& arch : {small_net(), larger}) {
    Model cpu(arch, kSeed), simt(arch, kSeed, kSimt);
    const EvalResult expected = evaluate(cpu, data.test, {.batch = 16});
    Evaluation evaluation(simt, data.test, {.batch = 16});
    const std::size_t before = memory_stats(kSimt).in_use;
    for (int epoch = 0; epoch < 2; ++epoch) {
      const EvalResult got = evaluation.run();
      EXPECT_EQ(got.images, expected.images);
      EXPECT_EQ(got.top1, expected.top1);
      EXPECT_EQ(got.top5, expected.top5);
      EXPECT_NEAR(got.loss, expected.loss, 1e-5 * expected.loss);
    }
    const auto resident = static_cast<std::size_t>(50 * 3 * 32 * 32);
    EXPECT_GE(memory_stats(kSimt).in_use, before + resident);
  }
}

TEST_F(Train, RefusesToResumeAnotherRun) {
  TrainConfig config = quiet_config(folder.file("run"));
  config.epochs = 1;
  Model model(small_net(), kSeed);
  train(model, data, config);
  config.resume = true;
  config.batch = 16;
  EXPECT_ERROR(train(model, data, config), ConfigError, "batch");
  config.batch = quiet_config("").batch;
  Model half(small_net(), kSeed, kSimt, Dtype::bf16);
  EXPECT_THROW(train(half, data, config), ConfigError) << "resumed with another element type";
}

TEST_F(Train, OverfitsOneBatch) {
  DataConfig data_config = small_data();
  data_config.limit_train = 20;
  const DataSplit few = open_data(data_config);
  TrainConfig config = quiet_config("");
  config.data = data_config;
  config.epochs = 40;
  config.augment = false;
  config.evaluate_every = 40;
  Model model(small_net(), kSeed);
  train(model, few, config);
  EXPECT_GE(evaluate(model, few.train).top1, 0.95) << "seed " << kSeed;
}

TEST_F(Train, StepsOfAnEpochAreThoseOfTheLoop) {
  const std::array<std::int64_t, 3> cases[] = {{20, 10, 2}, {20, 15, 2}, {20, 32, 1},
                                               {30, 29, 1}, {20, 19, 1}, {10, 3, 3}};
  for (const auto& [images, batch, steps] : cases) {
    EXPECT_EQ(steps_per_epoch(images, batch), steps) << images << " images by " << batch;
    TrainConfig config = quiet_config("");
    config.data.limit_train = images;
    config.batch = batch;
    config.epochs = 1;
    Model model(small_net(), kSeed);
    EXPECT_EQ(train(model, open_data(config.data), config).steps, steps)
        << images << " images by " << batch;
  }
}

TEST_F(Train, EvaluatesWhenAskedAndAlwaysAtTheEnd) {
  TrainConfig config = quiet_config(folder.file("run"));
  config.evaluate_every = 2;
  Model model(small_net(), kSeed);
  train(model, data, config);
  const auto lines = lines_of(folder.file("run/log.jsonl"));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_LACKS(lines[0], "test_top1");
  EXPECT_CONTAINS(lines[1], "test_top1");
  EXPECT_CONTAINS(lines[2], "test_top1");
}

TEST_F(Train, DivergenceStopsTheRunAndNamesALayer) {
  TrainConfig config = quiet_config(folder.file("run"));
  config.schedule = {.kind = ScheduleKind::constant, .lr = 1e12};
  Model model(small_net(), kSeed);
  const std::string what = error_of<Error>([&] {
    EXPECT_EQ(message_of<ConfigError>([&] { train(model, data, config); }), "") << "its class";
  });
  EXPECT_CONTAINS(what, "not finite");
  EXPECT_TRUE(std::regex_search(what, std::regex("features\\.|classifier"))) << what;
}

}  // namespace
}  // namespace hac
