// Data parallel: 1, 2, 3 and 4 ranks leave the same bits as one that computes all parts, and all
// ranks the same; whatever else a step does.

#include "data/sets/holdout.h"
#include "tests/support/temp_folder.h"
#include "tests/support/thread_group.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 9;

// Batches of 24, 24 and 5: the last is cut into two parts, fewer than there are ranks.
TrainConfig parted(std::int64_t parts) {
  TrainConfig config = tiny_config(53, 24);
  config.accumulate = parts;
  return config;
}

// With dropout, whose masks are those of the part.
Architecture net() {
  Architecture arch = tiny_net();
  arch.layers.insert(arch.layers.end() - 1, Dropout{});
  return arch;
}

struct Trained {
  Numbers model;
  TrainResult result;
};

Trained alone(const TrainConfig& config) {
  Model model(net(), kSeed);
  const TrainResult result =
      train(model, hold_out(open_data(config.data), config.validation, config.seed), config);
  return {numbers_of(model), result};
}

// Of every rank.
std::vector<Trained> together(TrainConfig config, int ranks) {
  std::vector<Trained> all(ranks);
  ThreadGroup(ranks).run([&](Group& group) {
    set_num_threads(1);
    TrainConfig own = config;
    own.group = &group;
    Model model(net(), kSeed);
    const TrainResult result =
        train(model, hold_out(open_data(own.data), own.validation, own.seed), own);
    all[group.rank()] = {numbers_of(model), result};
  });
  return all;
}

void expect_same(const TrainConfig& config, const std::string& what) {
  set_num_threads(1);
  const Trained expected = alone(config);
  for (const int ranks : {1, 2, 3, 4}) {
    const std::vector<Trained> all = together(config, ranks);
    for (int r = 0; r < ranks; ++r) {
      EXPECT_EQ(all[r].model, expected.model) << what << ", rank " << r << " of " << ranks;
      EXPECT_EQ(all[r].result.test.loss, expected.result.test.loss) << what;
      EXPECT_EQ(all[r].result.epoch, expected.result.epoch) << what;
    }
  }
}

TEST(DataParallel, AnyNumberOfRanksLeavesTheSameBits) {
  for (const std::int64_t parts : {4, 12}) {
    expect_same(parted(parts), std::to_string(parts) + " parts");
  }
}

TEST(DataParallel, SoWithAllThatAStepMayBe) {
  TrainConfig config = parted(4);
  config.mixup = 0.3;
  config.label_smoothing = 0.1;
  expect_same(config, "mixup");
  config = parted(4);
  config.ema = 0.8;
  expect_same(config, "average");
  config = parted(4);
  config.validation = 0.3;
  expect_same(config, "validation");
  config = parted(4);
  config.optimizer.kind = OptimizerKind::adamw;
  config.optimizer.clip_norm = 0.1;
  expect_same(config, "adamw, clipped");
}

// Batch norms over the parts of all ranks: a whole batch on one rank, but for rounding.
TEST(DataParallel, SynchronisedBatchNormTrainsAsOneRankWithTheWholeBatch) {
  set_num_threads(1);
  TrainConfig config = tiny_config(56, 24);
  Model whole(tiny_net(), kSeed);
  const TrainResult expected = train(whole, open_data(config.data), config);
  config.sync_batchnorm = true;
  for (const int ranks : {2, 3, 4}) {
    ThreadGroup(ranks).run([&](Group& group) {
      set_num_threads(1);
      TrainConfig own = config;
      own.group = &group;
      Model model(tiny_net(), kSeed);
      const TrainResult result = train(model, open_data(own.data), own);
      EXPECT_NEAR(result.test.loss, expected.test.loss, 1e-5) << ranks << " ranks";
      const Numbers all = numbers_of(model);
      for (const auto& [name, values] : numbers_of(whole)) {
        for (std::size_t i = 0; i < values.size(); ++i) {
          EXPECT_NEAR(all.at(name)[i], values[i], 1e-5 * (1 + std::abs(values[i])))
              << name << "[" << i << "], " << ranks << " ranks";
        }
      }
    });
  }
}

TEST(DataParallel, SynchronisedBatchNormWantsImagesForEveryRank) {
  TrainConfig config = tiny_config(53, 24);  // the last batch has 5
  config.sync_batchnorm = true;
  ThreadGroup(3).run([&](Group& group) {
    TrainConfig own = config;
    own.group = &group;
    Model model(tiny_net(), kSeed);
    const DataSplit data = open_data(own.data);
    EXPECT_NE(error_of<ConfigError>([&] {
                train(model, data, own);
              }).find("got a last one of 5 on 3 ranks"),
              std::string::npos);
  });
  config.accumulate = 4;
  EXPECT_NE(error_of<ConfigError>([&] { validate(config); }).find("one part a rank"),
            std::string::npos);
}

// A device without NCCL: gradients go through the host's memory.
TEST(DataParallel, TheSameBitsOnADeviceByWayOfTheHost) {
  set_num_threads(1);
  const TrainConfig config = parted(3);
  Model expected(net(), kSeed, kSimt);
  train(expected, open_data(config.data), config);
  ThreadGroup(2).run([&](Group& group) {
    set_num_threads(1);
    TrainConfig own = config;
    own.group = &group;
    Model model(net(), kSeed, kSimt);
    train(model, open_data(own.data), own);
    expect_same_bits(model, expected);
    own.launch = LaunchMode::graph;
    const DataSplit data = open_data(own.data);
    EXPECT_NE(error_of<ConfigError>([&] { train(model, data, own); }).find("by way of the host"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace hac
