// Clipping by the norm of all gradients: PyTorch's numbers, sums in double, and what it may not
// touch.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/optim/sgd.h"
#include "engine/tensor/random.h"
#include "kernels/ops/norms.h"
#include "tests/engine/optim_golden_values.h"
#include "tests/engine/optim_goldens.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

Tensor on(Device device, const std::vector<float>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}).to(device);
}

std::vector<double> squares_of(Device device, const std::vector<Tensor>& tensors) {
  const auto n = static_cast<std::int64_t>(tensors.size());
  const Tensor sums = Tensor::zeros({8 * n}, Dtype::u8, device);
  std::vector<NormSegment> segments;
  for (const Tensor& t : tensors) segments.push_back({t.data(), t.numel()});
  norm_kernels.run(&NormKernels::squares, device, NormSpec{.tensors = n}, sums.data(),
                   std::span<const NormSegment>(segments));
  const Tensor host = sums.to(Device{});
  const auto* first = reinterpret_cast<const double*>(host.as<std::uint8_t>());
  return {first, first + n};
}

TEST(Clip, MatchesPyTorch) {
  for (const Place& place : places()) {
    const At at(place);
    for (const ClipGolden& golden : clip_goldens) {
      std::vector<Parameter> parameters;
      const std::int64_t sizes[] = {7, 33, 5000};
      for (int i = 0; i < 3; ++i) {
        const Var w(Tensor::zeros({sizes[i]}, Dtype::f32, place.device), true);
        w.set_grad(on(place.device, golden_values(sizes[i], i, golden.scale)));
        parameters.push_back({"w" + std::to_string(i), w});
      }
      Sgd sgd(parameters, {.clip_norm = golden.max_norm});
      sgd.step(0);
      for (int i = 0; i < 3; ++i) {
        const std::vector<float> g = parameters[i].var.grad().to_vector();
        // PyTorch sums squares in f32.
        EXPECT_NEAR(g.front(), golden.ends[2 * i], 2e-6 * std::abs(golden.ends[2 * i]))
            << place.name << " max_norm " << golden.max_norm << " tensor " << i;
        EXPECT_NEAR(g.back(), golden.ends[2 * i + 1], 2e-6 * std::abs(golden.ends[2 * i + 1]))
            << place.name << " max_norm " << golden.max_norm << " tensor " << i;
      }
    }
  }
}

// 70 tensors (two launches), the last of several blocks and no multiple of a vector, one of none.
TEST(Clip, SquaresAreThoseInDouble) {
  for (const Place& place : places()) {
    const At at(place);
    std::vector<Tensor> tensors;
    for (int i = 0; i < 70; ++i) {
      const std::int64_t n = i == 69 ? 20003 : i == 3 ? 0 : 1 + 61 * i;
      tensors.push_back(on(place.device, random_normal(n, 5, i)));
    }
    const std::vector<double> got = squares_of(place.device, tensors);
    for (int i = 0; i < 70; ++i) {
      double expected = 0;
      for (const float x : tensors[i].to_vector()) expected += double{x} * x;
      EXPECT_NEAR(got[i], expected, 1e-12 * expected) << place.name << " tensor " << i;
    }
  }
}

TEST(Clip, SquaresHaveTheSameBitsAtAnyThreadCount) {
  const std::vector<Tensor> tensors{on({}, random_normal(100001, 5, 1)),
                                    on({}, random_normal(50, 5, 2))};
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    results.push_back(squares_of({}, tensors));
  }
  set_num_threads(0);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Clip, LeavesTheBitsOfGradientsWithinTheNorm) {
  for (const Place& place : places()) {
    const At at(place);
    const Var w(Tensor::zeros({40}, Dtype::f32, place.device), true);
    const std::vector<float> g = random_normal(40, 5, 3);
    w.set_grad(on(place.device, g));
    Sgd sgd({{"w", w}}, {.clip_norm = 100});
    sgd.step(0);
    EXPECT_EQ(w.grad().to_vector(), g) << place.name;
  }
}

// Clipping comes behind the loss scale: what is clipped are the gradients of the loss itself. A
// step with a gradient that is not finite is left out as a whole.
TEST(Clip, WorksWithALossScale) {
  constexpr float scale = 64;
  for (const Place& place : places()) {
    const At at(place);
    const Var w(Tensor::zeros({2}, Dtype::f32, place.device), true);
    Sgd sgd({{"w", w}}, {.momentum = 0, .weight_decay = 0, .clip_norm = 1}, scale);
    w.set_grad(on(place.device, {3 * scale, 4 * scale}));
    sgd.step(1);
    const std::vector<float> after = w.value().to_vector();
    EXPECT_NEAR(after[0], -0.6, 1e-6) << place.name;
    EXPECT_NEAR(after[1], -0.8, 1e-6) << place.name;
    w.set_grad(on(place.device, {1, std::numeric_limits<float>::infinity()}));
    sgd.step(1);
    EXPECT_EQ(w.value().to_vector(), after) << place.name;
    EXPECT_EQ(sgd.loss_scale().skipped(), 1);
  }
}

// Weight decay alone moves weights whose gradients are zero.
TEST(WeightDecay, MayLeaveOutBiasesAndNorms) {
  for (const Place& place : places()) {
    const At at(place);
    for (const WeightDecayOn what : {WeightDecayOn::all, WeightDecayOn::weights}) {
      std::vector<Parameter> parameters;
      for (const Shape& shape : {Shape{2, 3}, Shape{2, 1, 3, 3}, Shape{5}}) {
        Tensor ones = Tensor::empty(shape, Dtype::f32, place.device);
        fill(ones, 1);
        parameters.push_back({"w" + std::to_string(parameters.size()), Var(ones, true)});
        parameters.back().var.set_grad(Tensor::zeros(shape, Dtype::f32, place.device));
      }
      Sgd sgd(parameters, {.momentum = 0, .weight_decay = 0.5, .weight_decay_on = what});
      sgd.step(0.5);
      for (const Parameter& p : parameters) {
        const bool decays = what == WeightDecayOn::all || p.var.shape().rank() > 1;
        for (const float v : p.var.value().to_vector()) {
          EXPECT_EQ(v, decays ? 0.75f : 1.f) << place.name << " " << p.var.shape().str();
        }
      }
    }
  }
}

}  // namespace
}  // namespace hac
