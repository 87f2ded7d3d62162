// AdamW and LARS against PyTorch, LARS against its formula in double precision too, and what holds
// for every optimiser: the same bits at any thread count, at any place of an operand and from a
// saved state; steps that are left out; copies in 16 bits.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/optim/make_optimizer.h"
#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "tests/engine/optim_golden_values.h"
#include "tests/engine/optim_goldens.h"
#include "tests/support/messages.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

Var parameter(Device device, const std::vector<float>& values, const Shape& shape) {
  return Var(Tensor::from(values, shape).to(device), true);
}

void set_grad(const Var& w, const std::vector<float>& values) {
  w.set_grad(Tensor::from(values, w.shape()).to(w.device()));
}

TEST(AdamW, MatchesPyTorch) {
  for (const Place& place : places()) {
    const At at(place);
    for (const AdamWGolden& golden : adamw_goldens) {
      const Var w = parameter(place.device, golden_values(6, 9, 2), {6});
      const auto adamw = make_optimizer({{"w", w}}, {.kind = OptimizerKind::adamw,
                                                     .beta1 = golden.beta1,
                                                     .beta2 = golden.beta2,
                                                     .eps = golden.eps,
                                                     .weight_decay = golden.weight_decay});
      for (int t = 0; t < 5; ++t) {
        std::vector<float> g = golden_values(6, 10 + t, 0.5f);
        g[5] = 0;
        set_grad(w, g);
        adamw->step(0.1 / (t + 1));
      }
      const std::vector<float> got = w.value().to_vector();
      for (int i = 0; i < 6; ++i) {
        // Five steps of a dozen roundings, of weights below 2 and steps of 0.1.
        EXPECT_NEAR(got[i], golden.weights[i], 1e-6)
            << place.name << " element " << i << " beta1 " << golden.beta1 << " weight decay "
            << golden.weight_decay;
      }
    }
  }
}

TEST(Lars, MatchesPyTorchsSgdAtTheLocalRates) {
  for (const Place& place : places()) {
    const At at(place);
    for (const LarsGolden& golden : lars_goldens) {
      const Var weight = parameter(place.device, golden_values(6, 9, 2), {2, 3}),
                bias = parameter(place.device, golden_values(6, 20, 2), {6});
      const auto lars = make_optimizer({{"w", weight}, {"b", bias}},
                                       {.kind = OptimizerKind::lars,
                                        .trust_coefficient = golden.trust_coefficient,
                                        .weight_decay = golden.weight_decay,
                                        .nesterov = golden.nesterov});
      for (int t = 0; t < 3; ++t) {
        set_grad(weight, golden_values(6, 10 + t, 0.5f));
        set_grad(bias, golden_values(6, 20 + t, 0.5f));
        lars->step(0.5 / (t + 1));
      }
      for (int i = 0; i < 12; ++i) {
        const float got = (i < 6 ? weight : bias).value().to_vector()[i % 6];
        EXPECT_NEAR(got, golden.weights[i], 2e-6)
            << place.name << " element " << i << " trust " << golden.trust_coefficient;
      }
    }
  }
}

struct LarsReference {
  std::vector<double> w, v;
  // kernels/ops/sgd.h, in double.
  void step(const OptimizerOptions& o, double lr, const std::vector<float>& gradient, bool adapts) {
    double weights = 0, gradients = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      weights += w[i] * w[i];
      gradients += double{gradient[i]} * gradient[i];
    }
    weights = std::sqrt(weights);
    gradients = std::sqrt(gradients);
    const double trust =
        adapts && weights > 0 && gradients > 0
            ? o.trust_coefficient * weights / (gradients + *o.weight_decay * weights + o.eps)
            : 1;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double g = trust * (gradient[i] + *o.weight_decay * w[i]);
      v[i] = o.momentum * v[i] + g;
      w[i] -= lr * (o.nesterov ? g + o.momentum * v[i] : v[i]);
    }
  }
};

// Layers whose gradients differ by a factor of 1000, a bias, and a layer of zeros.
TEST(Lars, MatchesTheFormulaInDouble) {
  const Shape shapes[] = {{100, 203}, {7, 3, 3, 3}, {11}, {4, 5}};
  const float scales[] = {1e-3f, 1, 0.1f, 1};
  for (const Place& place : places()) {
    const At at(place);
    for (const bool nesterov : {false, true}) {
      const OptimizerOptions options{.kind = OptimizerKind::lars,
                                     .trust_coefficient = 0.02,
                                     .weight_decay = 0.01,
                                     .nesterov = nesterov};
      std::vector<Parameter> parameters;
      std::vector<LarsReference> expected;
      for (int p = 0; p < 4; ++p) {
        std::vector<float> w = random_normal(shapes[p].numel(), 7, p);
        if (p == 3) std::fill(w.begin(), w.end(), 0.f);
        expected.push_back({{w.begin(), w.end()}, std::vector<double>(w.size())});
        parameters.push_back({"w" + std::to_string(p), parameter(place.device, w, shapes[p])});
      }
      const auto lars = make_optimizer(parameters, options);
      for (int t = 0; t < 3; ++t) {
        const double lr = static_cast<float>(0.5 / (t + 1));
        for (int p = 0; p < 4; ++p) {
          std::vector<float> g = random_normal(shapes[p].numel(), 7, 10 * t + p + 10);
          for (float& x : g) x *= scales[p];
          set_grad(parameters[p].var, g);
          expected[p].step(options, lr, g, shapes[p].rank() > 1);
        }
        lars->step(lr);
      }
      for (int p = 0; p < 4; ++p) {
        const std::vector<float> got = parameters[p].var.value().to_vector();
        for (std::size_t i = 0; i < got.size(); ++i) {
          ASSERT_NEAR(got[i], expected[p].w[i], 2e-6)
              << place.name << " parameter " << p << " at " << i << " nesterov " << nesterov;
        }
      }
    }
  }
}

TEST(WeightDecay, OfAdamWIsPyTorchsUnlessItIsSet) {
  const auto trained = [](OptimizerKind kind, std::optional<double> decay) {
    const Var w = parameter({}, golden_values(6, 9, 2), {6});
    const auto optimizer = make_optimizer({{"w", w}}, {.kind = kind, .weight_decay = decay});
    set_grad(w, golden_values(6, 10, 0.5f));
    optimizer->step(0.1);
    return w.value().to_vector();
  };
  for (const auto& [kind, decay] : {std::pair{OptimizerKind::adamw, 0.01},
                                    {OptimizerKind::sgd, 5e-4},
                                    {OptimizerKind::lars, 5e-4}}) {
    EXPECT_EQ(trained(kind, std::nullopt), trained(kind, decay)) << to_string(kind);
    EXPECT_NE(trained(kind, std::nullopt), trained(kind, 0)) << to_string(kind);
  }
}

// ---- What holds for every optimiser ----

class EveryOptimizer : public testing::TestWithParam<OptimizerKind> {
 protected:
  OptimizerOptions options() const { return {.kind = GetParam(), .weight_decay = 0.01}; }
};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryOptimizer,
                         testing::Values(OptimizerKind::sgd, OptimizerKind::adamw,
                                         OptimizerKind::lars),
                         [](const auto& info) { return to_string(info.param); });

// 70 parameters (two launches), steps [from, to).
std::vector<Parameter> many(Device device) {
  std::vector<Parameter> all;
  for (int i = 0; i < 70; ++i) {
    const Shape shape = i == 69 ? Shape{3, 7001} : i % 2 == 0 ? Shape{i + 1} : Shape{i, 3};
    all.push_back({"layer" + std::to_string(i),
                   parameter(device, random_normal(shape.numel(), 7, i), shape)});
  }
  return all;
}

void run(Optimizer& optimizer, const std::vector<Parameter>& parameters, int from, int to) {
  for (int t = from; t < to; ++t) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      set_grad(parameters[i].var,
               random_normal(parameters[i].var.value().numel(), 7, 100 + 70 * t + i));
    }
    optimizer.step(0.1 / (t + 1));
  }
}

std::vector<std::vector<float>> numbers(const std::vector<Parameter>& parameters) {
  std::vector<std::vector<float>> all;
  for (const Parameter& p : parameters) all.push_back(p.var.value().to_vector());
  return all;
}

TEST_P(EveryOptimizer, SameBitsAtAnyThreadCount) {
  std::vector<std::vector<std::vector<float>>> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const std::vector<Parameter> parameters = many({});
    run(*make_optimizer(parameters, options()), parameters, 0, 2);
    results.push_back(numbers(parameters));
  }
  set_num_threads(0);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST_P(EveryOptimizer, IsTheSameOnEveryDeviceToRounding) {
  const std::vector<Parameter> here = many({});
  run(*make_optimizer(here, options()), here, 0, 3);
  for (const Place& place : places()) {
    const At at(place);
    const std::vector<Parameter> there = many(place.device);
    run(*make_optimizer(there, options()), there, 0, 3);
    for (std::size_t i = 0; i < here.size(); ++i) {
      const std::vector<float> a = here[i].var.value().to_vector(),
                               b = there[i].var.value().to_vector();
      for (std::size_t k = 0; k < a.size(); ++k) {
        ASSERT_NEAR(a[k], b[k], 1e-6 * (1 + std::abs(a[k]))) << place.name << " " << i << " " << k;
      }
    }
  }
}

TEST_P(EveryOptimizer, StateContinuesBitForBit) {
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    const At at(place);
    const std::vector<Parameter> whole = many(place.device), part = many(place.device);
    const auto one = make_optimizer(whole, options(), 8);
    run(*one, whole, 0, 4);
    const auto first = make_optimizer(part, options(), 8);
    run(*first, part, 0, 2);
    const auto second = make_optimizer(part, options(), 8);
    second->load_state(first->state());
    run(*second, part, 2, 4);
    EXPECT_EQ(numbers(part), numbers(whole)) << place.name;
    for (const auto& [name, tensor] : one->state()) {
      EXPECT_TRUE(
          std::any_of(std::begin(optimizer_state), std::end(optimizer_state),
                      [&name = name](std::string_view prefix) { return name.starts_with(prefix); }))
          << name << " would be taken for a weight";
    }
  }
}

TEST_P(EveryOptimizer, AStepThatIsLeftOutChangesNothing) {
  for (const Place& place : places()) {
    const At at(place);
    const std::vector<Parameter> never = many(place.device), once = many(place.device);
    const auto a = make_optimizer(never, options(), 64), b = make_optimizer(once, options(), 128);
    for (const Parameter& p : once) {
      std::vector<float> g(p.var.value().numel(), 1);
      g.back() = std::numeric_limits<float>::quiet_NaN();
      set_grad(p.var, g);
    }
    b->step(1);  // left out; the scale falls to 64
    run(*a, never, 0, 2);
    run(*b, once, 0, 2);
    EXPECT_EQ(numbers(once), numbers(never)) << place.name;
    EXPECT_EQ(b->loss_scale().skipped(), 1);
  }
}

TEST_P(EveryOptimizer, RenewsCopiesAtAnyPlaceOfAnOperand) {
  for (const Place& place : places()) {
    if (place.dtype == Dtype::f32) continue;
    const At at(place);
    std::vector<std::vector<float>> results;
    for (const std::int64_t begin : {0, 1}) {  // a slice that begins at 4 bytes
      const auto n = std::int64_t{4099};
      const auto sliced = [&](std::uint64_t stream) {
        const Tensor whole = Tensor::zeros({n + begin}, Dtype::f32, place.device);
        const Tensor slice = whole.slice(begin, n + begin);
        slice.copy_from(Tensor::from(random_normal(n, 7, stream), {n}));
        return slice;
      };
      const Var w(sliced(1), true);
      w.keep_copy(place.dtype);
      w.set_grad(sliced(2));
      make_optimizer({{"w", w}}, options())->step(0.1);
      EXPECT_EQ(w.copy().to_vector(), w.value().cast(place.dtype).to_vector()) << place.name;
      results.push_back(w.value().to_vector());
    }
    EXPECT_EQ(results[0], results[1]) << place.name;
  }
}

TEST(AdamW, RefusesAStateThatIsNone) {
  const Var w = parameter({}, {1, 2, 3}, {3});
  const auto adamw = make_optimizer({{"w", w}}, {.kind = OptimizerKind::adamw});
  const auto good = adamw->state();
  for (const char* name : {"exp_avg.w", "exp_avg_sq.w", "adamw.step"}) {
    auto state = good;
    state.erase(name);
    EXPECT_THROW(adamw->load_state(state), IoError) << name;
    state[name] = Tensor::zeros({2}, Dtype::i32);
    EXPECT_THROW(adamw->load_state(state), IoError) << name;
  }
  auto state = good;
  state["adamw.step"] = Tensor::from(std::vector<std::int32_t>{-1}, {1});
  EXPECT_THROW(adamw->load_state(state), IoError);
  adamw->load_state(good);
}

}  // namespace
}  // namespace hac
