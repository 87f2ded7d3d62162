// Gradient accumulation: the large batch to rounding without batch norm, statistics of each part
// with it, and all that a step may be: captured, observed, mixed, scaled, resumed.

#include <cmath>

#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "scaling/importance/importance.h"
#include "tests/support/op_test.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

constexpr std::uint64_t kSeed = 9;

// tiny_net() without batch norms.
Architecture plain_net(bool dropout = false) {
  Architecture arch = tiny_net();
  arch.layers = {Conv{.name = "conv1", .out = 8, .bias = true},
                 Activate{},
                 Pool{},
                 Conv{.name = "conv2", .out = 8, .bias = true},
                 Activate{},
                 Pool{.kind = PoolMode::global_avg},
                 Flatten{}};
  if (dropout) arch.layers.push_back(Dropout{});
  arch.layers.push_back(Linear{.name = "fc"});
  return arch;
}

// Batches of 8, 8 and 6.
TrainConfig accumulating(std::int64_t parts) {
  TrainConfig config = tiny_config(22, 8);
  config.accumulate = parts;
  config.label_smoothing = 0.1;
  return config;
}

double largest_difference(const Numbers& a, const Numbers& b) {
  double most = 0;
  for (const auto& [name, values] : a) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      most = std::max(most, std::abs(double{values[i]} - b.at(name)[i]));
    }
  }
  return most;
}

Numbers trained(const Architecture& arch, Device device, const TrainConfig& config,
                StepObserver* observer = nullptr) {
  Model model(arch, kSeed, device);
  train(model, open_data(config.data), config, observer);
  return numbers_of(model);
}

std::vector<Device> devices() { return {Device{}, kSimt}; }

TEST(Accumulation, IsTheLargeBatchToRoundingWithoutBatchNorm) {
  for (const Device device : devices()) {
    for (const double mixup : {0., 0.4}) {
      TrainConfig config = accumulating(1);
      config.mixup = mixup;
      const Numbers whole = trained(plain_net(), device, config);
      for (const std::int64_t parts : {2, 4}) {
        config.accumulate = parts;
        // Six steps of sums in another order.
        EXPECT_LT(largest_difference(trained(plain_net(), device, config), whole), 1e-5)
            << to_string(device) << " parts " << parts << " mixup " << mixup;
      }
      EXPECT_GT(largest_difference(numbers_of(Model(plain_net(), kSeed)), whole), 1e-3);
    }
  }
}

// By hand: the mean over the batch of what each part alone gives, each normalised by itself.
TEST(Accumulation, NormalisesOverThePartWithBatchNorm) {
  for (const Device device : devices()) {
    TrainConfig config = tiny_config(8, 8);
    config.epochs = 1;
    config.shuffle = config.augment = false;
    config.accumulate = 2;
    config.optimizer = {.momentum = 0, .weight_decay = 0};
    const Numbers got = trained(tiny_net(), device, config);

    const DataSplit data = open_data(config.data);
    Loader loader(data.train, {.batch = 8, .shuffle = false, .pipeline = evaluation});
    loader.start(0);
    Batch batch;
    ASSERT_TRUE(loader.next(batch));
    Model model(tiny_net(), kSeed, device);
    Numbers gradients;
    for (const std::int64_t begin : {0, 4}) {
      model.zero_grad();
      backward(ops::softmax_cross_entropy(model.forward(batch.images.slice(begin, begin + 4)),
                                          batch.labels.slice(begin, begin + 4))
                   .loss);
      for (const Parameter& p : model.parameters()) {
        std::vector<float>& sum = gradients[p.name];
        const std::vector<float> part = p.var.grad().to_vector();
        sum.resize(part.size());
        for (std::size_t i = 0; i < part.size(); ++i) sum[i] += part[i] / 2;
      }
    }
    Numbers expected = numbers_of(model);  // with the running statistics of two parts
    for (const auto& [name, gradient] : gradients) {
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        expected[name][i] -= static_cast<float>(config.schedule.lr) * gradient[i];
      }
    }
    EXPECT_LT(largest_difference(got, expected), 1e-6) << to_string(device);
  }
}

TEST(Accumulation, CapturedStepsEndInTheBitsOfEagerOnes) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f16}) {
    std::vector<Numbers> ends;
    for (const LaunchMode launch : {LaunchMode::eager, LaunchMode::graph}) {
      TrainConfig config = accumulating(4);
      config.epochs = 3;
      config.launch = launch;
      config.mixup = 0.4;
      config.loss_scale = 256;  // of f16: no step is left out
      config.optimizer.clip_norm = 0.5;
      Model model(plain_net(true), kSeed, kSimt, dtype);
      ImportanceObserver observer(5);
      train(model, open_data(config.data), config, &observer);
      EXPECT_EQ(observer.observed(), 5);
      ends.push_back(numbers_of(model));
      for (const LayerImportance& layer : observer.result(model)) {
        ends.back()["importance of " + layer.layer] = {layer.kernels.begin(), layer.kernels.end()};
      }
    }
    expect_same_bits(ends[0], ends[1]);
  }
}

// Importance is that of the whole batch's gradient, once a step.
TEST(Accumulation, ImportanceIsThatOfTheLargeBatch) {
  std::vector<std::vector<LayerImportance>> results;
  for (const std::int64_t parts : {1, 4}) {
    const TrainConfig config = accumulating(parts);
    ImportanceObserver observer(4);
    Model model(plain_net(), kSeed);
    train(model, open_data(config.data), config, &observer);
    EXPECT_EQ(observer.observed(), 4);
    results.push_back(observer.result(model));
  }
  for (std::size_t l = 0; l < results[0].size(); ++l) {
    for (std::size_t k = 0; k < results[0][l].kernels.size(); ++k) {
      const double whole = results[0][l].kernels[k];
      EXPECT_NEAR(results[1][l].kernels[k], whole, 1e-4 * whole + 1e-12) << results[0][l].layer;
    }
  }
}

// Where a mask drops a feature of every image, the gradient of its weights is zero. Masks of 16
// parts hardly do; one that all parts share would, for each feature with 0.81.
TEST(Accumulation, DropoutDrawsForEachPart) {
  struct Masks final : StepObserver {
    bool wants(std::int64_t, std::int64_t) const override { return true; }
    void accumulate(const Model& model, const Tensor&) override {
      gradient = model.parameters()[4].var.grad().to_vector();  // fc.weight
    }
    void count_step() override {}
    std::map<std::string, Tensor> state() const override { return {}; }
    void load_state(const std::map<std::string, Tensor>&) override {}
    std::vector<float> gradient;
  };
  Architecture arch = plain_net();
  arch.layers.insert(arch.layers.end() - 1, Dropout{.p = 0.9f});
  TrainConfig config = tiny_config(32, 32);
  config.epochs = 1;
  config.accumulate = 16;
  Masks masks;
  Model model(arch, kSeed);
  train(model, open_data(config.data), config, &masks);
  ASSERT_EQ(masks.gradient.size(), 32u);
  EXPECT_LT(std::count(masks.gradient.begin(), masks.gradient.end(), 0.f), 12)
      << "of 8 features and 4 classes";
}

TEST(Accumulation, ResumesBitForBitAndNotAsAnotherTraining) {
  const TempFolder folder;
  TrainConfig config = accumulating(4);
  const Numbers whole = trained(tiny_net(), {}, config);
  config.out = folder.file("run");
  config.max_steps = 2;
  trained(tiny_net(), {}, config);
  config.max_steps = -1;
  config.resume = true;
  config.accumulate = 2;
  EXPECT_ERROR(trained(tiny_net(), {}, config), ConfigError, "accumulate = 4", "this run has 2");
  config.accumulate = 4;
  expect_same_bits(trained(tiny_net(), {}, config), whole);
}

TEST(Accumulation, TakesLessMemory) {
  std::vector<std::size_t> peaks;
  for (const std::int64_t parts : {1, 4}) {
    TrainConfig config = tiny_config(64, 64);
    config.epochs = 1;
    config.accumulate = parts;
    reset_peak_memory();
    const std::size_t before = memory_stats().in_use;
    trained(tiny_net(), {}, config);
    peaks.push_back(memory_stats().peak - before);
  }
  EXPECT_LT(static_cast<double>(peaks[1]), 0.5 * static_cast<double>(peaks[0]));
}

TEST(Accumulation, PartsHaveTwoImagesOrMoreAndCoverTheBatch) {
  for (std::int64_t n = 1; n <= 40; ++n) {
    for (const std::int64_t parts : {1, 2, 3, 8}) {
      std::vector<std::int32_t> labels(n);
      std::iota(labels.begin(), labels.end(), 0);
      const Tensor numbers = Tensor::from(labels, {n});
      std::vector<std::int32_t> seen;
      const auto all = split({numbers, numbers, numbers}, parts);
      EXPECT_EQ(std::ssize(all), std::min(parts, std::max<std::int64_t>(1, n / 2))) << n;
      for (const StepBatch& part : all) {
        EXPECT_GE(part.size(), std::min<std::int64_t>(n, 2)) << n << " in " << parts;
        EXPECT_LE(part.size(), n / std::ssize(all) + 1) << n << " in " << parts;
        const std::int32_t* first = part.target.as<std::int32_t>();
        seen.insert(seen.end(), first, first + part.size());
      }
      EXPECT_EQ(seen, labels);
    }
  }
}

TEST(Accumulation, RefusesPartsThatAreNone) {
  TrainConfig config;
  config.batch = 100;
  config.accumulate = 3;
  EXPECT_ERROR(validate(config), ConfigError, "'accumulate'", "100 in 3 parts", "a batch of 102");
  config.accumulate = 100;
  EXPECT_ERROR(validate(config), ConfigError, "two images or more", "a batch of 200");
  config.accumulate = 50;
  validate(config);
}

}  // namespace
}  // namespace hac
