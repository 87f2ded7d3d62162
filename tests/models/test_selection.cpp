// Model selection: which images are held out, which epoch counts, and how often the test set is
// looked at. What a run keeps and says of it.

#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "data/sets/derived_set.h"
#include "data/sets/holdout.h"
#include "data/sets/image_set.h"
#include "engine/io/file.h"
#include "engine/io/safetensors.h"
#include "models/train/run_folder.h"
#include "models/train/weights.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// One pixel an image, which is its number; classes of these sizes, their images mixed.
DataSplit numbered(const std::vector<std::int64_t>& sizes) {
  ImageSet set{.channels = 1, .resolution = 1};
  for (std::size_t c = 0; c < sizes.size(); ++c) set.classes.push_back(std::to_string(c));
  std::vector<std::int64_t> left = sizes;
  for (bool more = true; more;) {
    more = false;
    for (std::size_t c = 0; c < left.size(); ++c) {
      if (left[c] == 0) continue;
      more = --left[c] >= 0;
      set.pixels.push_back(static_cast<std::uint8_t>(set.labels.size()));
      set.labels.push_back(static_cast<std::int32_t>(c));
    }
  }
  const DatasetPtr all = in_memory(set);
  return {all, all};
}

std::vector<int> numbers_of(const DatasetPtr& set) {
  std::vector<int> numbers;
  for (std::int64_t i = 0; i < set->size(); ++i) numbers.push_back(set->get(i).pixels[0]);
  return numbers;
}

std::vector<std::int64_t> class_sizes(const DatasetPtr& set) {
  std::vector<std::int64_t> sizes(set->classes().size());
  for (std::int64_t i = 0; i < set->size(); ++i) ++sizes[set->label(i)];
  return sizes;
}

TEST(HoldOut, SplitsEveryClassByItsShare) {
  const std::pair<std::vector<std::int64_t>, double> cases[] = {
      {{50, 50}, 0.1}, {{50, 50}, 10}, {{100, 20, 3}, 0.1}, {{7, 7, 7}, 4}, {{1, 9, 9}, 0.2}};
  // Shares of the third: 9.76, 1.95 and 0.29 of 12; of the fourth 1.33 each of 4; of the last 0.21,
  // 1.89 and 1.89 of 4, and a class of one image keeps it.
  const std::vector<std::int64_t> expected[] = {{5, 5}, {5, 5}, {10, 2, 0}, {2, 1, 1}, {0, 2, 2}};
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const auto& [sizes, amount] = cases[i];
    const DataSplit whole = numbered(sizes), split = hold_out(whole, amount, 3);
    EXPECT_EQ(class_sizes(split.validation), expected[i]) << "case " << i;
    std::vector<int> kept = numbers_of(split.train), held = numbers_of(split.validation);
    EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end())) << "the order of the set is lost";
    EXPECT_TRUE(std::is_sorted(held.begin(), held.end()));
    kept.insert(kept.end(), held.begin(), held.end());
    std::sort(kept.begin(), kept.end());
    EXPECT_EQ(kept, numbers_of(whole.train)) << "an image is lost or in both parts";
    EXPECT_EQ(split.test, whole.test);
  }
}

TEST(HoldOut, IsAFunctionOfTheSeed) {
  const DataSplit whole = numbered({60, 60});
  const auto held = [&](std::uint64_t seed) {
    return numbers_of(hold_out(whole, 0.25, seed).validation);
  };
  EXPECT_EQ(held(1), held(1));
  EXPECT_NE(held(1), held(2));
  // Each image is as likely as another: 200 draws of a quarter, 50 +- 6.1 (one sigma).
  std::vector<int> times(120);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    for (const int n : held(seed)) ++times[n];
  }
  EXPECT_GT(*std::min_element(times.begin(), times.end()), 50 - 5 * 6.2);
  EXPECT_LT(*std::max_element(times.begin(), times.end()), 50 + 5 * 6.2);
  EXPECT_EQ(hold_out(whole, 0, 1).validation, nullptr);
  EXPECT_EQ(hold_out(whole, 0, 1).train, whole.train);
}

TEST(HoldOut, RefusesWhatLeavesNothing) {
  const DataSplit whole = numbered({5, 5});
  for (const double amount :
       {-0.1, 1., 1.5, 0.05, 0.95, 9., 10., 1e30, std::numeric_limits<double>::quiet_NaN(),
        std::numeric_limits<double>::infinity()}) {
    EXPECT_ERROR(hold_out(whole, amount, 0), ConfigError, "'--validation': expected");
  }
  EXPECT_EQ(hold_out(whole, 8, 0).train->size(), 2);
}

// Counts how often each image is read.
class Counted final : public Dataset {
 public:
  explicit Counted(DatasetPtr set) : set_(std::move(set)), reads_(set_->size()) {}
  std::int64_t size() const override { return set_->size(); }
  StoredImage read(std::int64_t i) const override {
    ++reads_[i];
    return set_->read(i);
  }
  std::int32_t label(std::int64_t i) const override { return set_->label(i); }
  const std::vector<std::string>& classes() const override { return set_->classes(); }
  const Preprocessing& preprocessing() const override { return set_->preprocessing(); }
  std::set<int> reads() const { return {reads_.begin(), reads_.end()}; }

 private:
  DatasetPtr set_;
  mutable std::vector<std::atomic<int>> reads_;
};

class Select : public ::testing::Test {
 protected:
  TrainConfig config(const std::string& out) const {
    TrainConfig c = tiny_config(120, 16);
    c.schedule.lr = 0.2;  // the best epoch is not the last
    c.epochs = 4;
    c.validation = 0.2;
    c.out = out.empty() ? "" : folder_.file(out);
    return c;
  }
  DataSplit data(const TrainConfig& c) const {
    return hold_out(open_data(c.data), c.validation, c.seed);
  }
  TrainResult run(Model& model, const TrainConfig& c) const { return train(model, data(c), c); }
  TrainResult run(const TrainConfig& c) const {
    Model model(tiny_net(), c.seed);
    return run(model, c);
  }
  std::string said_by(const TrainConfig& c) const {
    ::testing::internal::CaptureStderr();
    run(c);
    return ::testing::internal::GetCapturedStderr();
  }
  std::vector<json> log(const std::string& out) const {
    std::vector<json> lines;
    for (const std::string& line : lines_of(folder_.file(out) + "/log.jsonl")) {
      lines.push_back(json::parse(line));
    }
    return lines;
  }

  TempFolder folder_;
};

// Takes the run's folder away before one step, and gives it back before another.
class Outage final : public StepObserver {
 public:
  Outage(fs::path folder, std::int64_t from, std::int64_t to)
      : folder_(std::move(folder)), away_(folder_.string() + ".away"), from_(from), to_(to) {}
  bool wants(std::int64_t step, std::int64_t) const override {
    if (step == from_) fs::rename(folder_, away_);
    if (step == to_) fs::rename(away_, folder_);
    return false;
  }
  void accumulate(const Model&, const Tensor&) override {}
  void count_step() override {}
  std::map<std::string, Tensor> state() const override { return {}; }
  void load_state(const std::map<std::string, Tensor>&) override {}

 private:
  fs::path folder_, away_;
  std::int64_t from_, to_;
};

TEST_F(Select, OutputThatCannotBeWrittenEndsNoTraining) {
  TrainConfig c = config("whole");
  const std::int64_t best = run(c).epoch;
  ASSERT_LT(best, 4);
  const std::int64_t steps = 6;  // an epoch
  c.checkpoint_seconds = 0;      // a save at each step
  c.out = folder_.file("cut");
  Outage passing(c.out, (best - 1) * steps + 2, best * steps + 3);  // over the best epoch's end
  Model model(tiny_net(), c.seed);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(train(model, data(c), c, &passing).epoch, best);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_CONTAINS(said, "the training continues");
  EXPECT_EQ(log("cut").size(), 5u);
  for (const std::string file : {"/model.safetensors", "/last.safetensors"}) {
    EXPECT_EQ(read_file(folder_.file("whole" + file)), read_file(c.out + file)) << file;
  }

  c.out = folder_.file("lost");
  Outage lasting(c.out, 2, -1);
  Model other(tiny_net(), c.seed);
  ::testing::internal::CaptureStderr();
  EXPECT_THROW(train(other, data(c), c, &lasting), IoError);
  EXPECT_CONTAINS(::testing::internal::GetCapturedStderr(), "continues");
}

TEST_F(Select, BestIsTheFirstEpochWithTheHighestValidationTop1) {
  Model model(tiny_net(), 3);
  const TrainConfig c = config("r");
  const TrainResult result = run(model, c);
  const std::vector<json> lines = log("r");
  ASSERT_EQ(lines.size(), 5u);
  std::int64_t best = 0;
  for (int e = 0; e < 4; ++e) {
    EXPECT_FALSE(lines[e].contains("test_top1")) << lines[e];
    if (lines[e]["validation_top1"] > lines[best]["validation_top1"]) best = e;
  }
  EXPECT_EQ(result.epoch, best + 1);
  EXPECT_EQ(lines[best]["validation_top1"], result.validation.top1);
  EXPECT_EQ(result.validation.images, 24);

  // The checkpoint, the model and the reported figures are those of that epoch.
  const DataSplit sets = data(c);
  Model loaded(tiny_net(), 9);
  load_weights(model_weights(c.out), loaded);
  expect_same_bits(model, loaded);
  EXPECT_EQ(evaluate(loaded, sets.validation).top1, result.validation.top1);
  EXPECT_EQ(evaluate(loaded, sets.test).loss, result.test.loss);
  EXPECT_EQ(lines[4]["type"], "result");
  EXPECT_EQ(lines[4]["select"], "best");
  EXPECT_EQ(lines[4]["epoch"], result.epoch);
  EXPECT_EQ(lines[4]["test_top1"], result.test.top1);
  EXPECT_EQ(lines[4]["accuracy"], "test top-1 of the epoch selected by validation");
  const json position = json::parse(load_safetensors(model_weights(c.out)).metadata.at("position"));
  EXPECT_EQ(position["best_epoch"], result.epoch);
  EXPECT_EQ(std::stod(position["validation_top1"].get<std::string>()), result.validation.top1);

  Model unwritten(tiny_net(), 3);
  EXPECT_EQ(run(unwritten, config("")).test.loss, result.test.loss);
  expect_same_bits(model, unwritten);
}

TEST_F(Select, LastTakesTheLastEpoch) {
  TrainConfig c = config("r");
  c.select = Selection::last;
  Model model(tiny_net(), 3), loaded(tiny_net(), 9);
  const TrainResult result = run(model, c);
  EXPECT_EQ(result.epoch, 4);
  EXPECT_EQ(log("r")[3]["validation_top1"], result.validation.top1);
  load_weights(last_weights(c.out), loaded);
  expect_same_bits(model, loaded);
  EXPECT_EQ(evaluate(loaded, data(c).test).loss, result.test.loss);
  EXPECT_EQ(log("r")[4]["accuracy"], "test top-1 of the last epoch");
}

TEST_F(Select, TheTestSetIsReadOnceAndItsImagesAreNotAugmented) {
  for (const Selection selected : {Selection::best, Selection::last}) {
    const std::string select = to_string(selected);
    TrainConfig c = config(select);
    c.select = selected;
    DataSplit sets = data(c);
    const auto test = std::make_shared<Counted>(sets.test);
    const auto held = std::make_shared<Counted>(sets.validation);
    sets.test = test;
    sets.validation = held;
    Model model(tiny_net(), c.seed);
    train(model, sets, c);
    EXPECT_EQ(test->reads(), std::set<int>{1}) << select;
    EXPECT_EQ(held->reads(), std::set<int>{4}) << select;

    c.out += "untested";
    c.evaluate_test = false;
    EXPECT_EQ(train(model, sets, c).test.images, 0);
    EXPECT_EQ(test->reads(), std::set<int>{1}) << select;
  }
}

TEST_F(Select, NothingIsSelectedByTheTestSet) {
  TrainConfig c = config("r");
  c.validation = 0;
  EXPECT_EQ(selection(c), Selection::last);
  EXPECT_EQ(run(c).epoch, 4);
  Model selected(tiny_net(), 9), last(tiny_net(), 8);
  load_weights(model_weights(c.out), selected);
  load_weights(last_weights(c.out), last);
  expect_same_bits(selected, last);
  EXPECT_TRUE(log("r")[0].contains("test_top1"));
  c.select = Selection::best;
  EXPECT_THROW(validate(c), ConfigError);
  c = config("");
  EXPECT_THROW(train(*std::make_unique<Model>(tiny_net()), open_data(c.data), c), ConfigError)
      << "nothing was held out";
}

// 6 steps an epoch: stops inside an epoch, at the end of one, after the best one and at the end.
TEST_F(Select, ResumesBitForBit) {
  Model whole(tiny_net(), 3);
  const TrainResult expected = run(whole, config("whole"));
  const auto same = [&](const std::string& out, const char* name) {
    return read_file(folder_.file(out) + name) == read_file(folder_.file("whole") + name);
  };
  for (const std::int64_t stop : {1, 6, 13, 18, 23, 24}) {
    const std::string out = "stop" + std::to_string(stop);
    TrainConfig c = config(out);
    c.max_steps = stop;
    const TrainResult part = run(c);
    EXPECT_EQ(part.test.images > 0, stop == 24) << "the test set was looked at before the end";
    c.max_steps = -1;
    c.resume = true;
    Model second(tiny_net(), 8);
    const TrainResult result = run(second, c);
    expect_same_bits(whole, second);
    EXPECT_EQ(result.epoch, expected.epoch);
    EXPECT_EQ(result.test.loss, expected.test.loss);
    EXPECT_EQ(result.validation.loss, expected.validation.loss);
    EXPECT_TRUE(same(out, "/model.safetensors")) << stop;
    EXPECT_TRUE(same(out, "/last.safetensors")) << stop;
    EXPECT_EQ(log(out).size(), 5u) << "one line an epoch and the result";
  }
}

TEST_F(Select, ResumeNeedsTheBestAndTheSameHeldOutImages) {
  TrainConfig c = config("r");
  c.epochs = 1;
  run(c);
  c.epochs = 2;
  c.resume = true;
  TrainConfig other = c;
  other.validation = 0.3;
  EXPECT_ERROR(run(other), ConfigError, "validation");
  const std::string earlier = c.out + "/best.safetensors";  // as they were called once
  fs::rename(model_weights(c.out), earlier);
  EXPECT_GT(run(c).epoch, 0);
  EXPECT_FALSE(fs::exists(earlier));
  c.epochs = 3;
  fs::remove(model_weights(c.out));
  EXPECT_ERROR(run(c), ConfigError, "model.safetensors', the best so far");
}

// What was selected once is not what another choice selects.
TEST_F(Select, AnEndedTrainingCanBeAskedForItsLastEpoch) {
  TrainConfig c = config("r");
  Model model(tiny_net(), 3), chosen(tiny_net(), 9), last(tiny_net(), 8);
  ASSERT_LT(run(model, c).epoch, 4);
  c.select = Selection::last;
  c.resume = true;
  run(c);
  load_weights(model_weights(c.out), chosen);
  load_weights(last_weights(c.out), last);
  expect_same_bits(chosen, last);
}

TEST_F(Select, WhatAnotherProgramLeftIsNotReplacedUnasked) {
  for (const char* file : {"config.json", "log.csv", "events.out.tfevents.1.host"}) {
    TrainConfig c = config(std::string("of ") + file);
    fs::create_directories(c.out);
    write_file_atomically(c.out + "/" + file, "theirs");
    EXPECT_ERROR(run(c), ConfigError, file);
    EXPECT_EQ(read_file(c.out + "/" + file), "theirs");
    c.overwrite = true;
    EXPECT_NO_THROW(run(c));
  }
}

// The old rate at the next step would have been lower: the cosine is longer now.
TEST_F(Select, AScheduleThatHasChangedIsSaid) {
  TrainConfig c = config("r");
  c.schedule = {.kind = ScheduleKind::cosine, .lr = 0.1};
  c.epochs = 2;
  c.quiet = false;
  run(c);
  c.resume = true;
  EXPECT_LACKS(said_by(c), "schedule") << "it is finished: nothing to say";
  c.epochs = 4;
  const std::string said = said_by(c);
  const double before = learning_rate(c.schedule, 11, 6, 2),
               now = learning_rate(c.schedule, 12, 6, 4);
  const std::string line = fmt::format(
      "the schedule has changed with --epochs, 2 before and 4 now: the learning rate was {:.4g} "
      "and continues from {:.4g}\n",
      before, now);
  EXPECT_CONTAINS(said, line);
  const std::vector<json> lines = log("r");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[2]["type"], "schedule");
  EXPECT_EQ(lines[2]["lr_before"], before);
  EXPECT_EQ(lines[2]["lr"], now);
  EXPECT_EQ(json::parse(read_file(c.out + "/training.json"))["epochs"], 4);

  c.schedule = {.kind = ScheduleKind::constant, .lr = 0.1};
  c.out = folder_.file("constant");
  c.resume = false;
  c.epochs = 1;
  run(c);
  c.epochs = 2;
  c.resume = true;
  EXPECT_LACKS(said_by(c), "schedule");
}

TEST_F(Select, NoResultIsOverwrittenUnasked) {
  const TrainConfig once = config("r");
  run(once);
  TrainConfig c = once;
  const std::string best = read_file(model_weights(c.out)), lines = read_file(training_log(c.out));
  const auto refused = [&](const char* part) {
    EXPECT_ERROR(run(c), ConfigError, part);
    if (fs::exists(model_weights(c.out))) {
      EXPECT_TRUE(read_file(model_weights(c.out)) == best);
    }
    if (fs::exists(training_log(c.out))) {
      EXPECT_EQ(read_file(training_log(c.out)), lines);
    }
  };
  refused("(hint: --resume continues it, --overwrite starts again)");
  fs::remove(last_weights(c.out));
  refused("model.safetensors' (hint: --overwrite starts again)");
  c.resume = true;
  refused("'--resume': expected");
  fs::remove(model_weights(c.out));
  refused("'--resume': expected");
  c.resume = false;
  refused("log.jsonl'");
  fs::remove(training_log(c.out));
  EXPECT_NO_THROW(run(c)) << "the folder holds no training";
  c.overwrite = true;
  c.epochs = 1;
  c.seed = 9;
  run(c);
  EXPECT_EQ(log("r").size(), 2u);
}

}  // namespace
}  // namespace hac
