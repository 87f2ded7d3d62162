#include <gtest/gtest.h>

#include "engine/optim/sgd.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "kernels/ops/sgd.h"
#include "tests/support/places.h"

namespace hac {
namespace {

// Gives a leaf this gradient, by way of a loss whose backward says so.
void set_grad(const Var& leaf, const std::vector<float>& values) {
  const Tensor grad = Tensor::from(values, leaf.shape());
  backward(make_var("given", Tensor::zeros({}), {leaf},
                    [grad](const Tensor&) { return std::vector<Tensor>{grad}; }));
}

std::vector<float> random_values(std::int64_t n, std::uint64_t seed) {
  std::vector<float> values(n);
  for (std::int64_t i = 0; i < n; ++i) values[i] = Philox{seed, 0}.normal(i);
  return values;
}

struct Stepped {
  std::vector<float> weight, velocity;
};

Stepped stepped(Device device, const SgdSpec& spec, float lr, const std::vector<float>& weight,
                const std::vector<float>& velocity, const std::vector<float>& gradient) {
  const auto there = [&](const std::vector<float>& v) {
    return Tensor::from(v, {static_cast<std::int64_t>(v.size())}).to(device);
  };
  const Tensor w = there(weight), v = there(velocity), g = there(gradient), rate = there({lr});
  const SgdSegment segment{
      .grad = g.data(), .weight = w.data(), .velocity = v.data(), .elements = w.numel()};
  sgd_kernels.run(&SgdKernels::step, device, spec, rate.data(), nullptr,
                  std::span<const SgdSegment>(&segment, 1));
  return {w.to_vector(), v.to_vector()};
}

struct Figures {
  OptimizerOptions options;
  std::vector<float> weights;  // after three steps
};

// torch.optim.SGD (PyTorch 1.13) from w = (1, -2, 0.5, 3) with the gradient
// (0.5, -1, 2, 0.25) * t - 0.3 and lr = 0.1 / t, t = 1, 2, 3.
TEST(Sgd, MatchesPyTorch) {
  const Figures cases[] = {{{.momentum = 0, .weight_decay = 0},
                            {0.904999971f, -1.64499998f, -0.0450000241f, 2.98000002f}},
                           {{.momentum = 0.9, .weight_decay = 0.05},
                            {0.85555613f, -1.45496452f, -0.284116805f, 2.93489337f}},
                           {{.momentum = 0.9, .weight_decay = 0.05, .nesterov = true},
                            {0.766330421f, -1.13850904f, -0.752189219f, 2.89411378f}}};
  for (const Figures& c : cases) {
    Var w(Tensor::from(std::vector<float>{1, -2, 0.5, 3}, {4}), true, "w");
    Sgd sgd({{"w", w}}, c.options);
    for (int t = 1; t <= 3; ++t) {
      w.zero_grad();
      std::vector<float> g{0.5, -1, 2, 0.25};
      for (float& v : g) v = v * static_cast<float>(t) - 0.3f;
      set_grad(w, g);
      sgd.step(0.1 / t);
    }
    // Three steps of a handful of roundings each.
    for (int i = 0; i < 4; ++i)
      EXPECT_NEAR(w.value().as<float>()[i], c.weights[i], 8 * 1.2e-7 * std::abs(c.weights[i]))
          << "element " << i << " momentum " << c.options.momentum << " nesterov "
          << c.options.nesterov;
  }
}

// Against the formula in double, over a size that is no multiple of a vector and runs in parallel.
TEST(Sgd, MatchesTheFormulaInDouble) {
  constexpr std::int64_t n = 40003;
  for (const Place& place : places()) {
    for (const bool nesterov : {false, true}) {
      const At at(place);
      SCOPED_TRACE(place.name);
      const SgdSpec spec{.momentum = 0.9f, .weight_decay = 5e-4f, .nesterov = nesterov};
      constexpr float lr = 0.05f;
      const std::vector<float> w0 = random_values(n, 1), v0 = random_values(n, 2),
                               g = random_values(n, 3);
      const auto [w, v] = stepped(place.device, spec, lr, w0, v0, g);
      for (std::int64_t i = 0; i < n; ++i) {
        const double grad = double{g[i]} + double{spec.weight_decay} * w0[i];
        const double velocity = double{spec.momentum} * v0[i] + grad;
        const double step = nesterov ? grad + double{spec.momentum} * velocity : velocity;
        // A few roundings at the size of the terms (cancellation may leave less).
        const double tolerance = 4 * 6e-8 * (std::abs(g[i]) + std::abs(v0[i]) + std::abs(w0[i]));
        ASSERT_NEAR(v[i], velocity, tolerance) << "element " << i << " " << spec.str();
        ASSERT_NEAR(w[i], w0[i] - double{lr} * step, tolerance) << "element " << i;
      }
    }
  }
}

TEST(Sgd, SameBitsAtAnyThreadCount) {
  constexpr std::int64_t n = 100001;
  const SgdSpec spec{.momentum = 0.9f, .weight_decay = 1e-3f};
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    results.push_back(
        stepped({}, spec, 0.1f, random_values(n, 1), random_values(n, 2), random_values(n, 3))
            .weight);
  }
  set_num_threads(0);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Sgd, LeavesParametersWithoutGradientAlone) {
  Var used(Tensor::from(std::vector<float>{1}, {1}), true),
      unused(Tensor::from(std::vector<float>{2}, {1}), true);
  Sgd sgd({{"used", used}, {"unused", unused}}, {});
  set_grad(used, {1});
  sgd.step(0.1);
  EXPECT_NE(used.value().item(), 1.f);
  EXPECT_EQ(unused.value().item(), 2.f);
}

TEST(Sgd, StateContinuesBitForBit) {
  const auto run = [](Sgd& sgd, Var& w, int from, int to) {
    for (int t = from; t < to; ++t) {
      w.zero_grad();
      set_grad(w, random_values(w.value().numel(), t));
      sgd.step(0.1);
    }
  };
  const OptimizerOptions options{.nesterov = true};
  Var w(Tensor::from(random_values(33, 99), {33}), true);
  Sgd whole({{"a.weight", w}}, options);
  run(whole, w, 0, 6);

  Var part(Tensor::from(random_values(33, 99), {33}), true);
  Sgd first({{"a.weight", part}}, options);
  run(first, part, 0, 3);
  ASSERT_EQ(first.state().count("momentum.a.weight"), 1u);
  Sgd second({{"a.weight", part}}, options);
  second.load_state(first.state());
  run(second, part, 3, 6);
  EXPECT_EQ(w.value().to_vector(), part.value().to_vector());
}

TEST(Sgd, RefusesAStateThatDoesNotFitAndStaysAsItWas) {
  Var a(Tensor::zeros({3}), true), b(Tensor::zeros({4}), true);
  Sgd sgd({{"a", a}, {"b", b}}, {});
  const Tensor three = Tensor::from(std::vector<float>{1, 2, 3}, {3}), four = Tensor::zeros({4});
  const std::map<std::string, Tensor> bad[] = {
      {},
      {{"momentum.a", three}},
      {{"momentum.a", three}, {"momentum.c", four}},
      {{"momentum.a", three}, {"momentum.b", three}},
      {{"momentum.a", three}, {"momentum.b", four}, {"momentum.c", four}},
      {{"momentum.a", three}, {"momentum.b", Tensor::zeros({4}, Dtype::i32)}}};
  for (const auto& state : bad) EXPECT_THROW(sgd.load_state(state), IoError);
  EXPECT_EQ(sgd.state().at("momentum.a").to_vector(), (std::vector<float>{0, 0, 0}));
  sgd.load_state({{"momentum.a", three}, {"momentum.b", four}, {"weight", four}});
  EXPECT_EQ(sgd.state().at("momentum.a").to_vector(), (std::vector<float>{1, 2, 3}));
}

}  // namespace
}  // namespace hac
