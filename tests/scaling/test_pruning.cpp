// Iterative pruning: its score against finite differences of the loss, what it records, and that a
// channel which is off stays so.

#include "scaling/experiment/pruning.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/sets/datasets.h"
#include "engine/autograd/ops.h"
#include "engine/optim/sgd.h"
#include "models/zoo/zoo.h"
#include "scaling/methods/neuralscale.h"
#include "tests/support/tiny_training.h"

namespace hac {
namespace {

using Names = std::vector<std::string>;

Var parameter(const Model& model, const std::string& name) {
  for (const Parameter& p : model.parameters()) {
    if (p.name == name) return p.var;
  }
  throw std::runtime_error(name);
}

TEST(Pruning, GatesAreTheBatchNormsBehindConvolutions) {
  EXPECT_EQ(gates_of(lower(tiny_net())), (Names{"bn1", "bn2"}));
  const Graph vgg = lower(zoo("vgg11"));
  EXPECT_EQ(gates_of(vgg)[0], "features.1");
  EXPECT_EQ(gates_of(vgg).size(), 8U);
  const Names residual = gates_of(lower(zoo("preact_resnet18")));
  ASSERT_EQ(residual.size(), 17U);
  EXPECT_EQ(residual[0], "layer1.0.bn1") << "the stem";
  EXPECT_EQ(residual[1], "layer1.0.bn2") << "inside the block";
  EXPECT_EQ(residual[2], "layer1.1.bn1") << "through the sum";
  Architecture bare = tiny_net();
  bare.layers.erase(bare.layers.begin() + 1);
  EXPECT_ERROR(gates_of(lower(bare)), ConfigError, "conv1", "expected a batch norm");
}

// (z dL/dz)^2 at z = 1, where z scales gamma and beta of one channel.
TEST(Pruning, ScoreIsThatOfAGate) {
  Model model(tiny_net(), 3);
  const StepBatch batch = noise_batch(0, 8);
  const auto loss = [&] {
    return ops::softmax_cross_entropy(model.forward(batch.images), batch.target, 0.0F).loss;
  };
  for (const char* bn : {"bn1", "bn2"}) {
    for (float& beta :
         std::span(parameter(model, std::string(bn) + ".bias").value().as<float>(), 8)) {
      beta = 0.3F;
    }
  }
  Pruning pruning(model, {}, 0);
  backward(loss());
  pruning.accumulate(model);
  for (std::size_t l = 0; l < 2; ++l) {
    const std::string bn = l == 0 ? "bn1" : "bn2";
    float* const gamma = parameter(model, bn + ".weight").value().as<float>();
    float* const beta = parameter(model, bn + ".bias").value().as<float>();
    for (int c = 0; c < 8; ++c) {
      const float g = gamma[c], b = beta[c];
      const auto at = [&](float z) {
        gamma[c] = z * g;
        beta[c] = z * b;
        return static_cast<double>(loss().value().item());
      };
      constexpr float eps = 2e-2F;
      const double slope = (at(1 + eps) - at(1 - eps)) / (2 * eps);
      gamma[c] = g;
      beta[c] = b;
      EXPECT_NEAR(std::sqrt(pruning.score(l)[c]), std::abs(slope), 2e-3) << bn << " " << c;
    }
  }
}

TEST(Pruning, SwitchesOffAFewChannelsAtATimeAndKeepsThemOff) {
  const TrainConfig config = tiny_config(64, 8);
  const DataSplit data = open_data(config.data);
  // Of 16 channels two at a time, after every second of the steps behind the first epoch.
  const PruneOptions options{.warmup = 1, .every = 2, .share = 0.125, .stop = 0.7};
  const auto rows = prune(tiny_net(), data, config, options, {});
  ASSERT_GE(rows.size(), 2U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].size(), 2U);
    for (const std::int64_t width : rows[i]) {
      EXPECT_GE(width, 1);
      EXPECT_LT(width, 8) << "recorded once every layer has lost a channel";
    }
    if (i == 0) continue;
    EXPECT_EQ(rows[i - 1][0] + rows[i - 1][1] - rows[i][0] - rows[i][1], 2);
    EXPECT_LE(rows[i][0], rows[i - 1][0]);
    EXPECT_LE(rows[i][1], rows[i - 1][1]);
  }
  EXPECT_EQ(prune(tiny_net(), data, config, options, {}), rows) << "deterministic";
}

TEST(Pruning, AChannelThatIsOffStaysZeroUnderMomentum) {
  Model model(tiny_net(), 3);
  Pruning pruning(model, {.every = 1, .share = 0.2, .stop = 0.9}, 0);
  Sgd sgd(model.parameters(), {.momentum = 0.9, .weight_decay = 0});
  sgd.set_rate(0.1);
  for (int step = 0; step < 4; ++step) {
    const StepBatch batch = noise_batch(step, 8);
    model.zero_grad();
    const Var loss =
        ops::softmax_cross_entropy(model.forward(batch.images), batch.target, 0.0F).loss;
    backward(loss, sgd.loss_scale().seed());
    observe_and_update(model, sgd, &pruning);
    pruning.count_step();
    std::int64_t off = 0;
    for (const char* bn : {"bn1", "bn2"}) {
      const std::vector<float> gamma =
          parameter(model, std::string(bn) + ".weight").value().to_vector();
      const std::vector<float> beta =
          parameter(model, std::string(bn) + ".bias").value().to_vector();
      for (std::size_t c = 0; c < gamma.size(); ++c) off += gamma[c] == 0 && beta[c] == 0;
    }
    EXPECT_EQ(off, 3 * (step + 1)) << "a fifth of 16 channels a step";
  }
}

TEST(Pruning, WithoutARowSaysWhy) {
  const TrainConfig config = tiny_config(64, 8);
  const DataSplit data = open_data(config.data);
  EXPECT_ERROR(prune(tiny_net(), data, config, {.warmup = 0, .every = 2, .share = 1}, {}),
               ConfigError, "expected every layer to lose a channel", "a smaller share");
}

}  // namespace
}  // namespace hac
