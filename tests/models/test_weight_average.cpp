// Averages of the weights: from the weights of every step, in double; batch norm statistics of
// their own, batch by batch; a training that does not notice; what is kept, selected and resumed.

#include "models/train/weight_average.h"

#include <cmath>
#include <filesystem>

#include "data/sets/holdout.h"
#include "engine/autograd/var.h"
#include "engine/io/file.h"
#include "engine/io/safetensors.h"
#include "kernels/ops/lerp.h"
#include "models/train/run_folder.h"
#include "models/train/train.h"
#include "models/train/weights.h"
#include "tests/support/op_test.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 6;

// Batches of 8, 8 and 4; four epochs.
TrainConfig config_of(double ema, double swa) {
  TrainConfig config = tiny_config(20, 8);
  config.epochs = 4;
  config.ema = ema;
  config.swa = swa;
  return config;
}

struct Trained {
  TrainResult result;
  Numbers model;
};

Trained trained(const TrainConfig& config, Device device = {}) {
  Model model(tiny_net(), kSeed, device);
  const DataSplit data = hold_out(open_data(config.data), config.validation, config.seed);
  TrainResult result = train(model, data, config);
  return {result, numbers_of(model)};
}

// The model after so many steps of a training that keeps no average.
Numbers after(std::int64_t steps) {
  TrainConfig config = config_of(0, 0);
  config.max_steps = steps;
  return trained(config).model;
}

Numbers tensors_of(const std::string& file, const std::string& prefix) {
  Numbers all;
  for (const auto& [name, tensor] : load_safetensors(file).tensors) {
    if (!name.starts_with(prefix) || tensor.dtype() != Dtype::f32) continue;
    all[name.substr(prefix.size())] = tensor.to_vector();
  }
  return all;
}

bool is_statistic(const std::string& name) { return name.find(".running_") != std::string::npos; }

using Doubles = std::map<std::string, std::vector<double>>;

void expect_near(const Numbers& got, const Doubles& expected) {
  for (const auto& [name, values] : expected) {
    if (is_statistic(name)) continue;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(got.at(name)[i], values[i], 1e-6) << name << " at " << i;
    }
  }
}

// average = share * weights + (1 - share) * average
void add(Doubles& average, const Numbers& weights, double share) {
  for (const auto& [name, values] : weights) {
    average[name].resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      average[name][i] += share * (values[i] - average[name][i]);
    }
  }
}

TEST(Lerp, IsTheFormulaInDouble) {
  for (const Place& place : places()) {
    const At at(place);
    for (const float weight : {0.f, 0.001f, 0.5f, 0.9f, 1.f}) {
      std::vector<Tensor> xs, ys;
      std::vector<LerpSegment> segments;
      for (int i = 0; i < 70; ++i) {
        const std::int64_t n = i == 69 ? 20003 : 1 + i;
        xs.push_back(random_tensor({n}, kSeed, 2 * i).to(place.device));
        ys.push_back(random_tensor({n}, kSeed, 2 * i + 1).to(place.device));
        segments.push_back({xs.back().data(), ys.back().data(), n});
      }
      lerp_kernels.run(&LerpKernels::apply, place.device, LerpSpec{weight},
                       std::span<const LerpSegment>(segments));
      for (int i = 0; i < 70; ++i) {
        const std::vector<float> x = xs[i].to_vector(), got = ys[i].to_vector();
        const std::vector<float> y = random_normal(xs[i].numel(), kSeed, 2 * i + 1);
        for (std::size_t k = 0; k < x.size(); ++k) {
          ASSERT_NEAR(got[k], y[k] + weight * (double{x[k]} - y[k]), 1e-6) << place.name;
          if (weight == 0 || weight == 1) {
            ASSERT_EQ(got[k], weight == 0 ? y[k] : x[k]) << place.name;
          }
        }
      }
    }
  }
}

TEST(WeightAverage, EmaIsThatOfEveryStepInDouble) {
  const TempFolder folder;
  TrainConfig config = config_of(0.7, 0);
  config.out = folder.file("run");
  trained(config);
  Doubles expected;
  add(expected, after(0), 1);
  for (int step = 1; step <= 12; ++step) add(expected, after(step), 0.3);
  expect_near(tensors_of(last_weights(config.out), "average."), expected);
  EXPECT_NE(tensors_of(last_weights(config.out), "average.").at("fc.weight"),
            after(12).at("fc.weight"));
}

TEST(WeightAverage, SwaIsTheMeanOfTheLastEpochsInDouble) {
  const TempFolder folder;
  TrainConfig config = config_of(0, 0.3);  // of four: the second to the fourth
  config.out = folder.file("run");
  trained(config);
  Doubles expected;
  add(expected, after(6), 1);
  add(expected, after(9), 1. / 2);
  add(expected, after(12), 1. / 3);
  expect_near(tensors_of(last_weights(config.out), "average."), expected);
}

// The mean over the last epoch's batches of each one's own statistics, which are what it adds to
// running ones.
TEST(WeightAverage, StatisticsAreFoundAgainOnTrainingImages) {
  for (const std::int64_t parts : {1, 2}) {
    const TempFolder folder;
    TrainConfig config = config_of(0.7, 0);
    config.accumulate = parts;
    config.out = folder.file("run");
    trained(config);
    const Numbers average = tensors_of(model_weights(config.out), "");
    Model model(tiny_net(), kSeed + 1);
    load_weights(model_weights(config.out), model);
    Loader loader(open_data(config.data).train,
                  {.batch = 8, .pipeline = standard_augmentation, .seed = config.seed});
    loader.start(3);
    Doubles expected;
    Batch batch;
    const NoGrad no_grad;
    for (int seen = 0; loader.next(batch);) {
      for (const StepBatch& part : split({batch.images, batch.labels, batch.labels}, parts)) {
        for (const Buffer& b : model.buffers()) fill(b.tensor, 0);
        model.forward(part.images);
        ++seen;
        for (const Buffer& b : model.buffers()) {
          std::vector<float> own = b.tensor.to_vector();
          for (float& x : own) x /= Model::statistics_momentum;
          add(expected, {{b.name, own}}, 1. / seen);
        }
      }
    }
    ASSERT_EQ(expected.size(), 4u);
    for (const auto& [name, values] : expected) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        EXPECT_NEAR(average.at(name)[i], values[i], 1e-5 * (1 + std::abs(values[i])))
            << name << " in parts " << parts;
      }
    }
  }
}

TEST(WeightAverage, TheTrainingDoesNotNotice) {
  for (const Device device : {Device{}, kSimt}) {
    TrainConfig config = config_of(0, 0);
    const Numbers plain = trained(config, device).model;
    for (const auto& [ema, swa] : {std::pair{0.7, 0.}, {0., 0.3}}) {
      config = config_of(ema, swa);
      config.select_weights = WeightSelection::plain;
      expect_same_bits(trained(config, device).model, plain);
    }
  }
}

TEST(WeightAverage, EagerOrCapturedItHasTheSameBits) {
  std::vector<Numbers> ends;
  for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
    TrainConfig config = config_of(0.9, 0);
    config.launch = launch;
    ends.push_back(trained(config, kSimt).model);
  }
  expect_same_bits(ends[0], ends[1]);
}

TEST(WeightAverage, ResumesBitForBit) {
  for (const auto& [ema, swa] : {std::pair{0.7, 0.}, {0., 0.3}}) {
    for (const double validation : {0., 0.2}) {
      const TempFolder folder;
      TrainConfig config = config_of(ema, swa);
      config.validation = validation;
      config.out = folder.file("whole");
      const Trained whole = trained(config);
      config.out = folder.file("parts");
      for (const std::int64_t stop : {2, 5, 7, 10, -1}) {
        config.max_steps = stop;
        const Trained part = trained(config);
        config.resume = true;
        if (stop < 0) expect_same_bits(part.model, whole.model);
      }
      for (const char* file : {"last", "model"}) {
        const std::string name = std::string("/") + file + ".safetensors";
        EXPECT_TRUE(read_file(folder.file("whole") + name) ==
                    read_file(folder.file("parts") + name))
            << name << " ema " << ema << " validation " << validation;
      }
    }
  }
}

// Whichever counts is what the best file and the model hold, and what was evaluated.
TEST(WeightAverage, TheWeightsThatCountAreSelectedAndKept) {
  for (const WeightSelection counts : {WeightSelection::plain, WeightSelection::average}) {
    for (const Selection select : {Selection::best, Selection::last}) {
      const TempFolder folder;
      TrainConfig config = config_of(0, 0.3);
      config.validation = 5;
      config.select = select;
      config.select_weights = counts;
      config.out = folder.file("run");
      const Trained end = trained(config);
      Model model(tiny_net(), kSeed + 1);
      load_weights(model_weights(config.out), model);
      expect_same_bits(numbers_of(model), end.model);
      const DataSplit data = hold_out(open_data(config.data), config.validation, config.seed);
      EXPECT_EQ(evaluate(model, data.validation).top1, end.result.validation.top1);
      EXPECT_EQ(evaluate(model, data.test).loss, end.result.test.loss);
      const bool averaged = counts == WeightSelection::average;
      EXPECT_TRUE(!averaged || end.result.epoch > 1) << "selected before the average begins";
      const TensorFile file = load_safetensors(model_weights(config.out));
      EXPECT_EQ(file.metadata.contains("weights"), averaged);
      EXPECT_EQ(file.metadata.at("format"), "pt");
      EXPECT_EQ(file.tensors.size(), Model(tiny_net(), 0).state().size()) << "weights alone";
      EXPECT_CONTAINS(lines_of(training_log(config.out))[3], "average_validation_top1");
    }
  }
}

TEST(WeightAverage, RefusesSettingsThatContradict) {
  TrainConfig config = config_of(0.9, 0.5);
  EXPECT_ERROR(validate(config), ConfigError, "'ema'", "'swa'");
  config = config_of(0, 0);
  config.select_weights = WeightSelection::average;
  EXPECT_ERROR(validate(config), ConfigError, "'select_weights'", "--ema");
}

TEST(WeightAverage, RefusesACheckpointWithoutIt) {
  const TempFolder folder;
  TrainConfig config = config_of(0.9, 0);
  config.out = folder.file("run");
  config.max_steps = 3;
  trained(config);
  TensorFile file = load_safetensors(last_weights(config.out));
  file.tensors.erase("average.fc.weight");
  save_safetensors(last_weights(config.out), file);
  config.resume = true;
  EXPECT_ERROR(trained(config), IoError, "average.fc.weight");
}

}  // namespace
}  // namespace hac
