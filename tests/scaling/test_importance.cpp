// Importance of kernels (Eq. 5): against a direct double-precision sum over the gradients, the
// properties of first-order Taylor scores, and observations that stop and resume.

#include "scaling/importance/importance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd/ops.h"
#include "engine/tensor/random.h"
#include "kernels/core/error.h"
#include "tests/support/observe.h"

namespace hac {
namespace {

constexpr std::uint64_t seed = 11;
constexpr std::int64_t batch_size = 8;

Architecture net_of(const std::string& name, std::vector<Layer> layers,
                    const std::vector<int>& stage_ends) {
  layers.insert(layers.end(),
                {Pool{.kind = PoolMode::global_avg}, Flatten{}, Linear{.name = "fc"}});
  return {.name = name,
          .channels = 3,
          .resolution = 8,
          .classes = 4,
          .stage_ends = stage_ends,
          .layers = layers};
}

// Both convolutions feed a batch norm and nothing else.
Architecture plain_net() {
  return net_of(
      "plain",
      {Conv{.name = "conv1", .out = 5}, BatchNorm{.name = "bn1", .activation = Activation::relu},
       Conv{.name = "conv2", .out = 6, .stride = 2},
       BatchNorm{.name = "bn2", .activation = Activation::relu}},
      {2, 4});
}

// Widths: stem, conv1 and conv2 of the block. The stem feeds only the block's first batch norm,
// because the shortcut is a projection behind it; conv2 feeds the residual sum.
Architecture residual_net() {
  return net_of("residual",
                {Conv{.name = "conv1", .out = 6},
                 PreactBlock{.name = "layer1.0", .mid = 5, .out = 8, .stride = 2},
                 BatchNorm{.name = "bn", .activation = Activation::relu}},
                {2});
}

// No batch norm: images of a batch do not see each other.
Architecture independent_net() {
  return net_of(
      "independent",
      {Conv{.name = "conv1", .out = 5}, Activate{}, Conv{.name = "conv2", .out = 6}, Activate{}},
      {1, 3});
}

// Expanded widths, each owned by the block's first convolution; the depthwise one follows.
Architecture depthwise_net() {
  return net_of(
      "depthwise",
      {Conv{.name = "conv1", .out = 6}, BatchNorm{.name = "bn1", .activation = Activation::relu6},
       InvertedResidual{.name = "b1", .mid = 9, .out = 8, .stride = 2},
       InvertedResidual{.name = "b2", .mid = 10},
       MBConv{.name = "b3", .mid = 12, .out = 7, .kernel = 5}},
      {2, 5});
}

struct Images {
  Tensor images, labels;
};

Images random_images(const std::string& name) {
  Images b{Tensor::empty({batch_size, 3, 8, 8}), {}};
  fill_normal(b.images, seed, name, 1);
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < batch_size; ++i) labels.push_back((i + i / 4) % 4);
  b.labels = Tensor::from(labels, {batch_size});
  return b;
}

void learn_gradients(Model& model, const Images& batch) {
  model.train();
  model.zero_grad();
  backward(ops::softmax_cross_entropy(model.forward(batch.images), batch.labels).loss);
}

using Kernels = std::vector<std::vector<double>>;  // by layer, by kernel

// Sums over each kernel's weights, in double, of term(g_m m).
template <class Term>
Kernels direct(const Model& model, Term term) {
  Kernels sums;
  for (const Var& w : model.width_weights()) {
    const std::vector<float> m = w.value().to_vector(), g = w.grad().to_vector();
    const auto kernels = static_cast<std::size_t>(w.shape()[0]), weights = m.size() / kernels;
    sums.emplace_back(kernels, 0.0);
    for (std::size_t i = 0; i < m.size(); ++i) {
      sums.back()[i / weights] += term(static_cast<double>(g[i]) * m[i]);
    }
  }
  return sums;
}
Kernels scores(const Model& model) {
  return direct(model, [](double gm) { return gm * gm; });
}
Kernels group_sums(const Model& model) {
  return direct(model, [](double gm) { return gm; });
}

Kernels observed(const ImportanceObserver& observer, const Model& model) {
  Kernels all;
  for (const LayerImportance& l : observer.result(model)) all.push_back(l.kernels);
  return all;
}

Kernels observed_once(const Model& model) {
  ImportanceObserver observer(1);
  observe(observer, model, 0, 1);
  return observed(observer, model);
}

void expect_close(const Kernels& got, const Kernels& expected, double relative) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t l = 0; l < got.size(); ++l) {
    ASSERT_EQ(got[l].size(), expected[l].size()) << "layer " << l;
    for (std::size_t k = 0; k < got[l].size(); ++k) {
      EXPECT_NEAR(got[l][k], expected[l][k], relative * std::abs(expected[l][k]))
          << "seed " << seed << ", layer " << l << ", kernel " << k;
    }
  }
}

float* parameter(const Model& model, const std::string& name) {
  for (const Parameter& p : model.parameters()) {
    if (p.name == name) return p.var.value().as<float>();
  }
  throw std::logic_error("no parameter " + name);
}

TEST(Importance, IsTheMeanOverMinibatchesOfADirectSum) {
  for (const Architecture& arch :
       {plain_net(), residual_net(), independent_net(), depthwise_net()}) {
    Model model(arch, seed);
    ImportanceObserver observer(2);
    learn_gradients(model, random_images("a"));
    observe(observer, model, 0, 2);
    Kernels mean = scores(model);
    learn_gradients(model, random_images("b"));
    observe(observer, model, 1, 2);
    const Kernels second = scores(model);
    for (std::size_t l = 0; l < mean.size(); ++l) {
      for (std::size_t k = 0; k < mean[l].size(); ++k) mean[l][k] = (mean[l][k] + second[l][k]) / 2;
    }
    expect_close(observed(observer, model), mean, 1e-12);
    EXPECT_EQ(observer.observed(), 2);

    const std::vector<std::string> names = width_names(arch);
    const std::vector<LayerImportance> layers = observer.result(model);
    ASSERT_EQ(layers.size(), names.size());
    for (std::size_t l = 0; l < layers.size(); ++l) {
      EXPECT_EQ(layers[l].layer, names[l]);
      EXPECT_EQ(layers[l].width, widths(arch)[l]);
      EXPECT_GT(layers[l].reduce(KernelReduction::mean), 0) << names[l];
    }
  }
}

TEST(Importance, OnlyTheLastMinibatchesCount) {
  Model model(plain_net(), seed);
  ImportanceObserver last_two(2), fresh(2);
  for (int step = 0; step < 5; ++step) {
    learn_gradients(model, random_images(std::to_string(step)));
    observe(last_two, model, step, 5);
    if (step >= 3) observe(fresh, model, step - 3, 2);
  }
  EXPECT_EQ(last_two.observed(), 2);
  EXPECT_EQ(observed(last_two, model), observed(fresh, model));
}

// (i) Cauchy-Schwarz between the two forms.
TEST(Importance, GroupFormIsAtMostTheWeightsTimesTheSum) {
  for (const Architecture& arch : {plain_net(), residual_net()}) {
    Model model(arch, seed);
    learn_gradients(model, random_images("a"));
    const Kernels form = observed_once(model), group = group_sums(model);
    const std::vector<Var> weights = model.width_weights();
    for (std::size_t l = 0; l < form.size(); ++l) {
      const double n = static_cast<double>(weights[l].value().numel()) / form[l].size();
      for (std::size_t k = 0; k < form[l].size(); ++k) {
        EXPECT_LE(group[l][k] * group[l][k], n * form[l][k] * (1 + 1e-12)) << l << " " << k;
      }
    }
  }
}

// sum g m over sqrt(sum (g m)^2): how far from cancelling a layer's kernels are at the most.
std::vector<double> cancellation(const Model& model) {
  const Kernels group = group_sums(model), form = scores(model);
  std::vector<double> worst(group.size(), 0.0);
  for (std::size_t l = 0; l < group.size(); ++l) {
    for (std::size_t k = 0; k < group[l].size(); ++k) {
      worst[l] = std::max(worst[l], std::abs(group[l][k]) / std::sqrt(form[l][k]));
    }
  }
  return worst;
}

// (ii) The loss does not change when a filter before a batch norm is scaled, so sum g m = 0 up to
// the norm's eps; not where a residual sum lies between.
TEST(Importance, GroupFormVanishesBeforeABatchNorm) {
  Model plain(plain_net(), seed);
  learn_gradients(plain, random_images("a"));
  for (const double c : cancellation(plain)) EXPECT_LT(c, 2e-3);

  Model residual(residual_net(), seed);
  learn_gradients(residual, random_images("a"));
  const std::vector<double> c = cancellation(residual);
  ASSERT_EQ(c.size(), 3u);
  EXPECT_LT(c[0], 2e-3) << "stem";
  EXPECT_LT(c[1], 2e-3) << "conv1";
  EXPECT_GT(c[2], 2e-2) << "conv2 feeds the residual sum";
}

// (iii)
TEST(Importance, RescalingAFilterBeforeABatchNormChangesNothing) {
  Model model(plain_net(), seed);
  const Images batch = random_images("a");
  learn_gradients(model, batch);
  const Kernels before = observed_once(model);
  float* filter = parameter(model, "conv1.weight") + 2 * 27;
  for (int i = 0; i < 27; ++i) filter[i] *= 4;
  learn_gradients(model, batch);
  expect_close(observed_once(model), before, 2e-3);

  // Without the batch norm it does.
  Model bare(independent_net(), seed);
  learn_gradients(bare, batch);
  const double own = observed_once(bare)[0][2];
  filter = parameter(bare, "conv1.weight") + 2 * 27;
  for (int i = 0; i < 27; ++i) filter[i] *= 4;
  learn_gradients(bare, batch);
  EXPECT_GT(observed_once(bare)[0][2], 2 * own);
}

// (iv) Dead by its weights, or by a batch norm that lets nothing through.
TEST(Importance, ADeadKernelScoresZero) {
  Model model(plain_net(), seed);
  float* weights = parameter(model, "conv1.weight");
  std::fill(weights + 2 * 27, weights + 3 * 27, 0.0f);
  parameter(model, "bn1.weight")[4] = parameter(model, "bn1.bias")[4] = 0;
  learn_gradients(model, random_images("a"));
  const Kernels kernels = observed_once(model);
  for (const std::size_t k : {0, 1, 3}) EXPECT_GT(kernels[0][k], 0) << k;
  for (const std::size_t k : {2, 4}) EXPECT_EQ(kernels[0][k], 0) << k;
}

// (v) The gradient of a batch is the mean of its images' gradients; its square is less than the
// mean of their squares. Single images as minibatches give the mean of squares, so squaring comes
// before averaging.
TEST(Importance, TheScoreOfABatchIsNotTheMeanOfItsImages) {
  Model model(independent_net(), seed);
  const Images batch = random_images("a");
  ImportanceObserver each(batch_size);
  for (std::int64_t i = 0; i < batch_size; ++i) {
    learn_gradients(model, {batch.images.slice(i, i + 1), batch.labels.slice(i, i + 1)});
    observe(each, model, i, batch_size);
  }
  learn_gradients(model, batch);
  const Kernels whole = observed_once(model), mean = observed(each, model);
  double whole_sum = 0, mean_sum = 0;
  for (std::size_t l = 0; l < whole.size(); ++l) {
    for (std::size_t k = 0; k < whole[l].size(); ++k) {
      EXPECT_LE(whole[l][k], mean[l][k] * (1 + 1e-4)) << l << " " << k;
      whole_sum += whole[l][k];
      mean_sum += mean[l][k];
    }
  }
  EXPECT_LT(whole_sum, 0.9 * mean_sum);
  EXPECT_GT(whole_sum, 0);
}

TEST(Importance, AnInterruptedObservationGoesOnToTheSameBits) {
  Model model(residual_net(), seed);
  const Images a = random_images("a"), b = random_images("b"), c = random_images("c");
  ImportanceObserver whole(3), first(3), rest(3);
  learn_gradients(model, a);
  observe(whole, model, 0, 3);
  observe(first, model, 0, 3);
  rest.load_state(first.state());
  EXPECT_EQ(rest.observed(), 1);
  EXPECT_EQ(observed(rest, model), observed(first, model));
  for (const auto& [step, batch] : {std::pair{1, &b}, std::pair{2, &c}}) {
    learn_gradients(model, *batch);
    observe(whole, model, step, 3);
    observe(rest, model, step, 3);
  }
  EXPECT_EQ(rest.observed(), 3);
  EXPECT_EQ(observed(rest, model), observed(whole, model));

  // Also before the first minibatch.
  ImportanceObserver none(3), begun(3);
  begun.load_state(none.state());
  EXPECT_EQ(begun.observed(), 0);
}

TEST(Importance, MalformedStatesAreRefused) {
  Model model(plain_net(), seed);
  ImportanceObserver observer(1);
  learn_gradients(model, random_images("a"));
  observe(observer, model, 0, 1);
  const std::map<std::string, Tensor> good = observer.state();
  ASSERT_EQ(good.size(), 3u);
  ImportanceObserver other(1);
  EXPECT_THROW(other.load_state({}), IoError);
  auto state = good;
  state.erase("minibatches");
  EXPECT_THROW(other.load_state(state), IoError);
  state = good;
  state["minibatches"] = Tensor::zeros({1});
  EXPECT_THROW(other.load_state(state), IoError);
  state = good;
  state["importance.1"] = Tensor::zeros({12}, Dtype::u8);  // one double and a half
  EXPECT_THROW(other.load_state(state), IoError);
  state = good;
  state.erase("importance.0");
  EXPECT_THROW(other.load_state(state), IoError);
}

TEST(Importance, ReducesKernelsToALayer) {
  const LayerImportance layer{.layer = "x", .width = 4, .kernels = {3, 1, 4, 2}};
  EXPECT_EQ(layer.reduce(KernelReduction::mean), 2.5);
  EXPECT_EQ(layer.reduce(KernelReduction::sum), 10);
  EXPECT_EQ(layer.reduce(KernelReduction::min), 1);
}

TEST(Importance, NothingObservedIsAnError) {
  const Model model(plain_net(), seed);
  EXPECT_THROW(ImportanceObserver(1).result(model), ConfigError);
}

}  // namespace
}  // namespace hac
