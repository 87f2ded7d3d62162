// Data parallel as on GPUs: the code that calls NCCL, with a stand-in of NCCL between threads of
// simulated devices. Steps are recorded, gradients go in buckets while backward goes on.

#include <nccl.h>

#include "engine/optim/make_optimizer.h"
#include "engine/parallel/device_group.h"
#include "models/train/gradient_sum.h"
#include "tests/support/nccl_stand_in.h"
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
    for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
      for (const int ranks : {1, 2, 3, 4}) {
        const std::vector<Numbers> all = together(parted(launch, parts), ranks);
        for (const Numbers& numbers : all) expect_same_bits(numbers, expected);
      }
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

// Buckets of a few bytes go one by one, before backward ends.
TEST(Nccl, BucketsAreSentWhileBackwardGoesOn) {
  set_num_threads(1);
  ThreadGroup(2).run([&](Group& threads) {
    ByNccl group(threads);
    Model model(tiny_net(), kSeed, kSimt);
    StepRanks ranks(group, kSimt);
    GradientSum sums(model, &ranks, 4, 2, 64);
    const std::vector<Parameter> leaves = model.parameters();
    threads.gather("");
    if (group.rank() == 0) take_nccl_calls();
    threads.gather("");
    for (auto leaf = leaves.rbegin(); leaf != leaves.rend(); ++leaf) {
      const int sent = std::distance(leaves.rbegin(), leaf);
      const Tensor ones = Tensor::zeros(leaf->var.shape(), Dtype::f32, kSimt);
      ones.copy_from(
          Tensor::from(std::vector<float>(ones.numel(), group.rank() + 1.f), leaf->var.shape()));
      leaf->var.set_grad(ones);
      sums.after_leaf();
      EXPECT_FALSE(leaf->var.grad().defined()) << leaf->name << ", after " << sent;
    }
    threads.gather("");
    const int most = static_cast<int>(leaves.size());
    const int exchanges = group.rank() == 0 ? take_nccl_calls().exchanges : 0;
    if (group.rank() == 0) {
      EXPECT_GT(exchanges, 4);
      EXPECT_LE(exchanges, 2 * most);
    }
    sums.finish();
    for (const Parameter& leaf : leaves) {
      const std::vector<float> sum = leaf.var.grad().to_vector();
      EXPECT_EQ(sum, std::vector<float>(sum.size(), 3)) << leaf.name;
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
