// Data parallel: 1, 2, 3 and 4 ranks leave the same bits as one that computes all parts, and all
// ranks the same; whatever else a step does. Of an evaluation each rank reads a share.

#include <atomic>
#include <cmath>
#include <tuple>

#include "data/loader/make_loader.h"
#include "data/sets/holdout.h"
#include "engine/optim/sgd.h"
#include "models/train/checkpoint.h"
#include "models/train/train_step.h"
#include "tests/support/temp_folder.h"
#include "tests/support/thread_group.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 9;

// Batches of 24, 24 and 4: the last is cut into two parts, fewer than there are ranks.
TrainConfig parted(std::int64_t parts) {
  TrainConfig config = tiny_config(52, 24);
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

// Counts the images that are read.
class Counted final : public Dataset {
 public:
  explicit Counted(DatasetPtr set) : set_(std::move(set)) {}
  std::int64_t size() const override { return set_->size(); }
  StoredImage read(std::int64_t i) const override {
    ++reads_;
    return set_->read(i);
  }
  std::int32_t label(std::int64_t i) const override { return set_->label(i); }
  const std::vector<std::string>& classes() const override { return set_->classes(); }
  const Preprocessing& preprocessing() const override { return set_->preprocessing(); }
  std::int64_t reads() const { return reads_; }

 private:
  const DatasetPtr set_;
  mutable std::atomic<std::int64_t> reads_ = 0;
};

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

void expect_same(const EvalResult& a, const EvalResult& b, const std::string& what) {
  EXPECT_EQ(a.loss, b.loss) << what;
  EXPECT_EQ(a.top1, b.top1) << what;
  EXPECT_EQ(a.top5, b.top5) << what;
  EXPECT_EQ(a.images, b.images) << what;
  ASSERT_EQ(a.predictions == nullptr, b.predictions == nullptr) << what;
  if (!a.predictions) return;
  ASSERT_EQ(a.predictions->size(), b.predictions->size()) << what;
  for (std::size_t i = 0; i < a.predictions->size(); ++i) {
    const Prediction &p = (*a.predictions)[i], &q = (*b.predictions)[i];
    EXPECT_EQ(std::tie(p.label, p.guess, p.confidence, p.loss, p.brier),
              std::tie(q.label, q.guess, q.confidence, q.loss, q.brier))
        << what << ", image " << i;
  }
}

void expect_same(const TrainConfig& config, const std::string& what) {
  set_num_threads(1);
  const Trained expected = alone(config);
  for (const int ranks : {1, 2, 3, 4}) {
    const std::vector<Trained> all = together(config, ranks);
    for (int r = 0; r < ranks; ++r) {
      EXPECT_EQ(all[r].model, expected.model) << what << ", rank " << r << " of " << ranks;
      expect_same(all[r].result.test, expected.result.test, what);
      expect_same(all[r].result.validation, expected.result.validation, what);
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

// Of several batches, with fewer of them than ranks, and the last one smaller.
TEST(DataParallel, EachRankEvaluatesAShare) {
  constexpr std::int64_t images = 52, batch = 8, batches = 7;
  TrainConfig config = tiny_config(8, 8);
  config.data.limit_test = images;
  set_num_threads(1);
  Model model(net(), kSeed);
  const EvalResult expected = evaluate(model, open_data(config.data).test, {.batch = batch});
  EXPECT_EQ(expected.images, images);
  for (const int ranks : {1, 2, 3, 4, 9}) {
    std::atomic<std::int64_t> reads = 0;
    ThreadGroup(ranks).run([&](Group& group) {
      set_num_threads(1);
      const std::string what = fmt::format("rank {} of {}", group.rank(), ranks);
      const auto counted = std::make_shared<Counted>(open_data(config.data).test);
      Model own(net(), kSeed);
      Evaluation evaluation(own, counted, {.batch = batch, .group = &group});
      for (int time : {1, 2}) {
        expect_same(evaluation.run(), expected, what);
        EXPECT_LE(counted->reads(), time * batch * ceil_div(batches, ranks)) << what;
      }
      reads += counted->reads();
    });
    EXPECT_EQ(reads, 2 * images) << ranks << " ranks";
  }
}

// The test set too, with the weights of the best epoch, which rank 0 alone keeps in a folder.
TEST(DataParallel, ATrainingDoesSo) {
  constexpr std::int64_t held_out = 300, tested = 600;
  TempFolder folder;
  TrainConfig config = tiny_config(700, 100);
  config.data.limit_test = tested;
  config.epochs = 4;
  config.schedule.lr = 0.2;
  config.accumulate = 4;
  config.validation = held_out;
  config.out = folder.file("alone");
  set_num_threads(1);
  const Trained expected = alone(config);
  ASSERT_LT(expected.result.epoch, config.epochs) << "the best epoch is to be an earlier one";
  for (const int ranks : {2, 4}) {
    config.out = folder.file(std::to_string(ranks));
    std::vector<std::int64_t> validated(ranks), read(ranks);
    ThreadGroup(ranks).run([&](Group& group) {
      set_num_threads(1);
      TrainConfig own = config;
      own.group = &group;
      DataSplit data = hold_out(open_data(own.data), own.validation, own.seed);
      const auto validation = std::make_shared<Counted>(data.validation);
      const auto test = std::make_shared<Counted>(data.test);
      data.validation = validation;
      data.test = test;
      Model model(net(), kSeed);
      const TrainResult result = train(model, data, own);
      const std::string what = fmt::format("rank {} of {}", group.rank(), ranks);
      EXPECT_EQ(numbers_of(model), expected.model) << what;
      expect_same(result.test, expected.result.test, what);
      expect_same(result.validation, expected.result.validation, what);
      validated[group.rank()] = validation->reads();
      read[group.rank()] = test->reads();
    });
    // Batches of 256 and 44 in each epoch, of 256, 256 and 88 once.
    EXPECT_EQ(validated, (ranks == 2 ? std::vector<std::int64_t>{4 * 256, 4 * 44}
                                     : std::vector<std::int64_t>{4 * 256, 0, 4 * 44, 0}));
    EXPECT_EQ(read, (ranks == 2 ? std::vector<std::int64_t>{512, 88}
                                : std::vector<std::int64_t>{256, 256, 88, 0}));
  }
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
  TrainConfig config = tiny_config(52, 24);  // the last batch has 4
  config.sync_batchnorm = true;
  ThreadGroup(3).run([&](Group& group) {
    TrainConfig own = config;
    own.group = &group;
    Model model(tiny_net(), kSeed);
    const DataSplit data = open_data(own.data);
    const std::string said = error_of<ConfigError>([&] { train(model, data, own); });
    EXPECT_NE(said.find("got a last one of 4 on 3 ranks"), std::string::npos) << said;
  });
  config.accumulate = 4;
  EXPECT_NE(error_of<ConfigError>([&] { validate(config); }).find("one part a rank"),
            std::string::npos);
}

// One rank's loss alone is not finite: it says where, and does not meet the others on the way.
TEST(DataParallel, ARankThatDivergesNamesTheLayer) {
  set_num_threads(1);
  TrainConfig config = tiny_config(48, 24);
  config.sync_batchnorm = true;
  const auto diverge = [&](Group& group) {
    set_num_threads(1);
    TrainConfig own = config;
    own.group = &group;
    Model model(tiny_net(), kSeed);
    Sgd sgd(model.parameters(), {});
    const DataSplit data = open_data(own.data);
    const auto loader = make_loader(data.train, {.batch = 24}, {});
    const StepPlan plan{.rate = [](std::int64_t) { return 0.1; }, .total_steps = 1};
    TrainStep step(model, sgd, *loader, own, plan);
    TrainPosition at;
    if (group.rank() == 1) model.state().at("fc.weight").as()[0] = INFINITY;
    loader->start(0);
    loader->advance();
    model.train();
    const std::string said = error_of<Error>([&] { step.run(at); });
    if (group.rank() == 1) {
      EXPECT_NE(said.find("fc.weight"), std::string::npos) << said;
      throw Error("ended");
    }
    EXPECT_EQ(said, "another rank ended");
  };
  EXPECT_EQ(error_of<Error>([&] { ThreadGroup(2).run(diverge); }), "ended");
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
