// Checkpoints that are written while the training goes on: what is in them, in which order, and
// what a run finds that ended anywhere behind them.

#include "models/train/checkpoint_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/sets/holdout.h"
#include "engine/io/file.h"
#include "models/train/run_folder.h"
#include "tests/support/places.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json position_in(const std::string& path) {
  return json::parse(load_safetensors(path).metadata.at("position"));
}

class Writer : public ::testing::TestWithParam<Device> {
 protected:
  Writer() { config.out = folder.path(); }

  Tensor filled(float value, std::int64_t n) const {
    return Tensor::from(std::vector<float>(n, value), {n}).to(device);
  }
  // All its elements are this number, and its metadata say so too; -1 if not.
  static float number_in(const std::string& path) {
    const TensorFile file = load_safetensors(path);
    const std::vector<float> all = file.tensors.at("w").to_vector();
    const bool same = std::count(all.begin(), all.end(), all[0]) == std::ssize(all);
    return same && file.metadata.at("number") == std::to_string(int(all[0])) ? all[0] : -1;
  }
  TensorFile numbered(int number, std::int64_t n = 1 << 10) const {
    return {{{"w", filled(static_cast<float>(number), n)}}, {{"number", std::to_string(number)}}};
  }

  const Device device = GetParam();
  const TempFolder folder;
  TrainConfig config;
  const std::string model = model_weights(folder.path()), last = last_weights(folder.path());
};

TEST_P(Writer, WritesTheBytesOfSaveSafetensors) {
  TrainTracking log(config, {});
  CheckpointWriter writer(config.out, device, log);
  const std::int32_t step = 7;
  TensorFile file = numbered(3);
  file.tensors["empty"] = Tensor::zeros({0}, Dtype::f32, device);
  file.tensors["bytes"] = Tensor::zeros({3}, Dtype::u8, device);
  file.tensors["host"] = Tensor::from(std::span(&step, 1), {1});
  const Shape image{2, 3, 5, 5};
  file.tensors["image"] = Tensor::zeros(image, Dtype::f32, device).to(layout_of(device, image));
  for (const int size : {1 << 10, 1 << 14, 1}) {  // memory that is there already, too
    const TensorFile other = numbered(size, size);
    writer.save(other, file, true);
    save_safetensors(folder.file("expected"), file);
    save_safetensors(folder.file("other"), other);
    EXPECT_TRUE(read_file(last) == read_file(folder.file("expected"))) << size;
    EXPECT_TRUE(read_file(model) == read_file(folder.file("other"))) << size;
    std::swap(file.tensors["w"], file.tensors["v"] = filled(2, size));
  }
  EXPECT_TRUE(writer.wrote_model());
}

// The next steps change the tensors while they are copied or written.
TEST_P(Writer, WritesWhatTheTensorsHeld) {
  TrainTracking log(config, {});
  CheckpointWriter writer(config.out, device, log);
  for (int i = 1; i <= 20; ++i) {
    const TensorFile file = numbered(i, 1 << 16);
    writer.save(file, file, false);
    file.tensors.at("w").zero();
    writer.settle();
    ASSERT_EQ(number_in(last), i);
    ASSERT_EQ(number_in(model), i);
  }
}

// A save waits for the one before it, whose memory it takes.
TEST_P(Writer, HasOneWriteOnItsWay) {
  TrainTracking log(config, {});
  CheckpointWriter writer(config.out, device, log);
  const TensorFile files[] = {numbered(0, 1 << 22), numbered(1, 1 << 22)};
  writer.save({}, files[0], false);
  for (int i = 1; i < 8; ++i) {
    writer.save({}, files[i % 2], false);
    ASSERT_TRUE(fs::exists(last)) << i;
    ASSERT_GE(number_in(last), 0) << "two in one, after " << i;
  }
  EXPECT_FALSE(writer.wrote_model());
}

TEST_P(Writer, ItsEndWaits) {
  {
    TrainTracking log(config, {});
    CheckpointWriter writer(config.out, device, log);
    writer.save({}, numbered(5, 1 << 22), false);
  }
  EXPECT_EQ(number_in(last), 5);
  EXPECT_EQ(folder.files(), 2u) << "the log, the checkpoint and nothing half done";
}

TEST_P(Writer, SaysAnErrorOnceAndTriesAgain) {
  TrainTracking log(config, {});
  CheckpointWriter writer(config.out, device, log);
  const std::string away = folder.path() + ".away";
  const auto said_by = [&](const auto& call) {
    ::testing::internal::CaptureStderr();
    call();
    writer.settle();
    return ::testing::internal::GetCapturedStderr();
  };
  fs::rename(config.out, away);
  EXPECT_CONTAINS(said_by([&] { writer.save(numbered(1), numbered(1), false); }),
                  "warning: file '" + model, "the training continues");
  EXPECT_EQ(said_by([&] { writer.save({}, numbered(2), false); }), "");
  EXPECT_THROW(writer.save({}, numbered(3), true), IoError);
  EXPECT_FALSE(writer.wrote_model());
  fs::rename(away, config.out);
  EXPECT_EQ(said_by([&] { writer.save({}, numbered(4), false); }), "");
  EXPECT_EQ(number_in(model), 1) << "what could not be written is written now";
  EXPECT_EQ(number_in(last), 4);
  fs::rename(config.out, away);
  EXPECT_CONTAINS(said_by([&] { writer.save({}, numbered(5), false); }), "warning");
  fs::rename(away, config.out);
  // Behind the warning is a save that was tried again.
  EXPECT_NO_THROW(writer.save({}, numbered(6), true));
  EXPECT_EQ(number_in(last), 6);
}

// A checkpoint that names the best epoch, without its weights, could not be resumed.
TEST_P(Writer, WritesTheModelFirst) {
  TrainTracking log(config, {});
  CheckpointWriter writer(config.out, device, log);
  fs::create_directory(model);  // in the way
  EXPECT_THROW(writer.save(numbered(1), numbered(1), true), IoError);
  EXPECT_FALSE(fs::exists(last));
  fs::remove(model);
  writer.save({}, numbered(2), true);
  EXPECT_EQ(number_in(model), 1);
  EXPECT_EQ(number_in(last), 2);
}

std::vector<Device> devices() {
  std::vector<Device> all{{}, kSimt};
  if (gpu_present()) all.push_back({DeviceKind::cuda, 0});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Devices, Writer, ::testing::ValuesIn(devices()),
                         [](const auto& info) { return to_string(info.param); });

// Ends a training as a kill between two steps would, but for what is written by then.
class Ending final : public StepObserver {
 public:
  explicit Ending(std::int64_t step) : step_(step) {}
  bool wants(std::int64_t step, std::int64_t) const override {
    if (step == step_) throw std::runtime_error("ended");
    return false;
  }
  void accumulate(const Model&, const Tensor&) override {}
  void count_step() override {}
  std::map<std::string, Tensor> state() const override { return {}; }
  void load_state(const std::map<std::string, Tensor>&) override {}

 private:
  std::int64_t step_;
};

// Five epochs of six steps.
class Checkpoints : public ::testing::TestWithParam<Device> {
 protected:
  static constexpr std::int64_t steps = 6, epochs = 5;

  TrainConfig config(const std::string& out, double seconds, Selection select) const {
    TrainConfig c = tiny_config(120, 16);
    c.schedule.lr = 0.2;  // the best epoch is not the last
    c.epochs = epochs;
    c.validation = 0.2;
    c.select = select;
    c.log = {LogFormat::csv};
    c.out = folder.file(out);
    c.checkpoint_seconds = seconds;
    return c;
  }
  void run(const TrainConfig& c, std::int64_t end = -1) const {
    Model model(tiny_net(), c.seed, GetParam());
    Ending ending(end);
    const auto training = [&] {
      train(model, hold_out(open_data(c.data), c.validation, c.seed), c, &ending);
    };
    if (end < 0) return training();
    EXPECT_THROW(training(), std::runtime_error) << end;
  }
  // What is in a log but times and memory.
  static std::vector<std::string> said_in(const std::string& out) {
    std::vector<std::string> lines;
    for (const std::string& line : lines_of(training_log(out))) {
      json j = json::parse(line);
      for (const char* key :
           {"images_per_second", "seconds", "tensor_peak_bytes", "resident_peak_bytes"}) {
        j.erase(key);
      }
      lines.push_back(j.dump());
    }
    return lines;
  }
  // The first two columns, epoch and step.
  static std::vector<std::string> rows_in(const std::string& out) {
    std::vector<std::string> rows;
    for (const std::string& line : lines_of(training_table(out))) {
      rows.push_back(line.substr(0, line.find(',', line.find(',') + 1)));
    }
    return rows;
  }
  void expect_resumed_equals(const std::string& whole, TrainConfig c) const {
    c.resume = true;
    run(c);
    for (const std::string file : {"/last.safetensors", "/model.safetensors"}) {
      EXPECT_TRUE(read_file(c.out + file) == read_file(whole + file)) << c.out << file;
    }
    EXPECT_EQ(said_in(c.out), said_in(whole)) << c.out;
    EXPECT_EQ(rows_in(c.out), rows_in(whole)) << c.out;
  }

  const TempFolder folder;
};

TEST_P(Checkpoints, ARunThatEndsEpochsBehindTheLastOneLosesNothing) {
  const bool simt = GetParam() == kSimt;  // slower, and no other in what follows the copies
  for (const Selection select : {Selection::best, Selection::last}) {
    if (simt && select == Selection::last) continue;
    const std::string name = to_string(select);
    const TrainConfig whole = config(name, 1e9, select);
    run(whole);
    ASSERT_EQ(said_in(whole.out).size(), 6u) << "five epochs and the result";
    for (const std::int64_t end : {13, 24, 29}) {
      if (simt && end != 24) continue;
      const TrainConfig c = config(name + std::to_string(end), 1e9, select);
      run(c, end);
      const json last = position_in(last_weights(c.out)), model = position_in(model_weights(c.out));
      // With the last epoch that counts, or else with the first.
      EXPECT_EQ(last["epoch"], select == Selection::best ? last["best_epoch"] : json(1)) << end;
      EXPECT_EQ(model, last) << end;
      EXPECT_EQ(std::ssize(said_in(c.out)), end / steps) << "epochs that were logged";
      expect_resumed_equals(whole.out, c);
    }
  }
}

TEST_P(Checkpoints, EpochsThatTakeLongerEachHaveOne) {
  for (const std::int64_t end : {6, 15}) {
    const TrainConfig c = config("r" + std::to_string(end), 0, Selection::last);
    run(c, end);
    const json last = position_in(last_weights(c.out));
    EXPECT_EQ(last["step"], end) << "a checkpoint a step";
    EXPECT_EQ(last["epoch"], end / steps);
    EXPECT_EQ(position_in(model_weights(c.out))["epoch"], end / steps) << "and a model an epoch";
  }
}

// Before the first line: a folder with a log and nothing to resume would be refused.
TEST_P(Checkpoints, ARunThatEndsBeforeTheFirstBeginsAgain) {
  TrainConfig c = config("r", 1e9, Selection::best);
  run(c, 5);
  EXPECT_FALSE(fs::exists(last_weights(c.out)));
  EXPECT_EQ(said_in(c.out).size(), 0u);
  const TrainConfig whole = config("whole", 1e9, Selection::best);
  run(whole);
  expect_resumed_equals(whole.out, c);
}

INSTANTIATE_TEST_SUITE_P(Devices, Checkpoints, ::testing::Values(Device{}, kSimt),
                         [](const auto& info) { return to_string(info.param); });

}  // namespace
}  // namespace hac
