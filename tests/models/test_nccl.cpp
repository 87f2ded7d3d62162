// Data parallel as on GPUs: the code that calls NCCL, with a stand-in of NCCL between threads of
// simulated devices. Steps are recorded, gradients go in buckets while backward goes on.

#include <nccl.h>

#include <algorithm>

#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "engine/parallel/device_group.h"
#include "models/train/gradient_sum.h"
#include "tests/support/nccl_stand_in.h"
#include "tests/support/simt_fixtures.h"
#include "tests/support/thread_group.h"
#include "tests/support/tiny_training.h"

extern "C" hac::Nccl hacscale_open_nccl();

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 9;

// The group of threads, whose tensors go by NCCL.
class ByNccl : public Group {
 public:
  explicit ByNccl(Group& threads) : threads_(threads) {}
  int rank() const override { return threads_.rank(); }
  int size() const override { return threads_.size(); }
  std::vector<std::string> gather(std::string_view bytes) override {
    return threads_.gather(bytes);
  }
  void exchange(std::span<const float>, std::span<float>) override { FAIL() << "by the host"; }
  void collect(std::span<const float>, std::span<float>) override { FAIL() << "by the host"; }
  const Nccl* nccl() const override { return &nccl_; }

 private:
  Group& threads_;
  const Nccl nccl_ = hacscale_open_nccl();
};

// Batches of 24, 24 and 4.
TrainConfig parted(LaunchMode launch, std::int64_t parts) {
  TrainConfig config = tiny_config(52, 24);
  config.accumulate = parts;
  config.launch = launch;
  return config;
}

Architecture net() {
  Architecture arch = tiny_net();
  arch.layers.insert(arch.layers.end() - 1, Dropout{});
  return arch;
}

Numbers alone(const TrainConfig& config) {
  Model model(net(), kSeed, kSimt);
  train(model, open_data(config.data), config);
  return numbers_of(model);
}

std::vector<Numbers> together(const TrainConfig& config, int ranks) {
  std::vector<Numbers> all(ranks);
  ThreadGroup(ranks).run([&](Group& threads) {
    set_num_threads(1);
    ByNccl group(threads);
    TrainConfig own = config;
    own.group = &group;
    Model model(net(), kSeed, kSimt);
    train(model, open_data(own.data), own);
    all[group.rank()] = numbers_of(model);
  });
  return all;
}

TEST(Nccl, AnyNumberOfRanksLeavesTheSameBitsEagerAndRecorded) {
  set_num_threads(1);
  for (const std::int64_t parts : {4, 12}) {
    const Numbers expected = alone(parted(LaunchMode::eager, parts));
    for (const int ranks : {1, 2, 3, 4}) {
      for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
        const std::vector<Numbers> all = together(parted(launch, parts), ranks);
        for (const Numbers& numbers : all) expect_same_bits(numbers, expected);
      }
    }
    for (const simt::Streams streams :
         {simt::Streams::recording_first, simt::Streams::others_first, simt::Streams::random}) {
      const simt::With order({.streams = streams, .seed = kSeed});
      const std::vector<Numbers> all = together(parted(LaunchMode::graph, parts), 2);
      for (const Numbers& numbers : all) expect_same_bits(numbers, expected);
    }
  }
}

// A recorded step calls NCCL twice, in its warm-up and its recording, however many follow.
TEST(Nccl, ItsCallsArePartOfTheRecording) {
  set_num_threads(1);
  take_nccl_calls();
  TrainConfig config = parted(LaunchMode::graph, 2);
  config.data.limit_train = 240;
  config.epochs = 1;
  together(config, 2);
  const NcclCalls recorded = take_nccl_calls();
  config.launch = LaunchMode::eager;
  together(config, 2);
  const NcclCalls eager = take_nccl_calls();
  EXPECT_EQ(eager.exchanges, 10 * 2);  // a bucket, a step and a rank
  EXPECT_EQ(recorded.exchanges, 2 * 2);
}

TEST(Nccl, SynchronisedBatchNormIsRecordedToo) {
  set_num_threads(1);
  TrainConfig config = parted(LaunchMode::eager, 1);
  config.sync_batchnorm = true;
  const std::vector<Numbers> eager = together(config, 2);
  config.launch = LaunchMode::graph;
  const std::vector<Numbers> recorded = together(config, 2);
  for (const Numbers& numbers : recorded) expect_same_bits(numbers, eager[0]);
}

// Buckets of a few bytes go one by one, while backward has layers to go.
TEST(Nccl, BucketsAreSentWhileBackwardGoesOn) {
  set_num_threads(1);
  ThreadGroup(1).run([&](Group& threads) {
    ByNccl group(threads);
    Model model(tiny_net(), kSeed, kSimt);
    StepRanks ranks(group, kSimt);
    GradientSum sums(model, &ranks, 4, 1, 64);
    const StepBatch batch = noise_batch(0);
    const auto [loss, probs] =
        ops::softmax_cross_entropy(model.forward(batch.images), batch.target.to(kSimt));
    take_nccl_calls();
    std::vector<int> sent;  // when each leaf was done
    backward(loss, {}, [&] {
      sums.after_leaf();
      sent.push_back(take_nccl_calls().exchanges);
    });
    const std::vector<Parameter> leaves = model.parameters();
    ASSERT_EQ(sent.size(), leaves.size());
    EXPECT_GE(std::count_if(sent.begin(), sent.end(), [](int n) { return n > 0; }), 4);
    for (const Parameter& leaf : leaves) EXPECT_FALSE(leaf.var.grad().defined()) << leaf.name;
    sums.finish();
    EXPECT_EQ(take_nccl_calls().exchanges, 0);
    for (const Parameter& leaf : leaves) EXPECT_TRUE(leaf.var.grad().defined()) << leaf.name;
  });
}

// One rank holds memory of its warm-up, so that its first recording is refused: the other one's is
// dropped, and the next step is recorded by both.
TEST(Nccl, ARecordedStepIsOneOfAllRanks) {
  set_num_threads(1);
  std::vector<std::vector<bool>> recorded(2);
  std::vector<Numbers> weights(2);
  ThreadGroup(2).run([&](Group& threads) {
    set_num_threads(1);
    ByNccl group(threads);
    Model model(tiny_net(), kSeed, kSimt);
    Sgd sgd(model.parameters(), {});
    StepRanks ranks(group, kSimt);
    CapturedStep steps(model, sgd, {.parts = 2, .ranks = &ranks}, 8);
    StepResult held;
    for (int step = 0; step < 4; ++step) {
      const StepResult result = steps.run(noise_batch(step, 8), 0.1, step);
      if (step == 0 && group.rank() == 0) held = result;
      recorded[group.rank()].push_back(steps.recorded());
    }
    weights[group.rank()] = numbers_of(model);
  });
  EXPECT_EQ(recorded[0], (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ(recorded[1], recorded[0]);
  expect_same_bits(weights[0], weights[1]);
}

// What waits for the other ranks would wait for ever.
TEST(Nccl, IsLeftOpenWhereAnErrorEndsTheRank) {
  ThreadGroup(2).run([&](Group& threads) {
    ByNccl group(threads);
    threads.gather("");
    if (group.rank() == 0) take_nccl_calls();
    { const StepRanks ranks(group, kSimt); }
    threads.gather("");
    if (group.rank() == 0) {
      EXPECT_EQ(take_nccl_calls().destroyed, 2);
    }
    threads.gather("");
    EXPECT_THROW(
        {
          const StepRanks ranks(group, kSimt);
          throw Error("a loss that is not finite");
        },
        Error);
    threads.gather("");
    if (group.rank() == 0) {
      EXPECT_EQ(take_nccl_calls().destroyed, 0);
    }
  });
}

TEST(Nccl, ItsErrorsAreADeviceError) {
  const Nccl nccl = hacscale_open_nccl();
  EXPECT_EQ(nccl.interface, nccl_interface);
  EXPECT_THROW(nccl.join("short", 0, 1), DeviceError);
  EXPECT_NE(error_of<DeviceError>([&] {
              nccl.join(nccl.make_id(), 2, 2);
            }).find("NCCL: ncclCommInitRank: refused"),
            std::string::npos);
}

}  // namespace
}  // namespace hac
