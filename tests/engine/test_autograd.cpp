#include <gtest/gtest.h>

#include "engine/autograd/ops.h"
#include "kernels/core/error.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

Var leaf(const std::vector<float>& values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return Var(Tensor::from(values, {n}), true, "leaf");
}

// sum(x): the simplest loss.
Var sum(const Var& x) {
  const Shape shape = x.shape();
  double total = 0;
  for (const float v : x.value().to_vector()) total += v;
  const std::vector<float> one{static_cast<float>(total)};
  return make_var("sum", Tensor::from(one, {}), {x}, [shape](const Tensor& dy) {
    const std::vector<float> values(shape.numel(), dy.item());
    return std::vector<Tensor>{Tensor::from(values, shape)};
  });
}

using Floats = std::vector<float>;

TEST(Autograd, AChainMultiplies) {
  const Var x = leaf({-1, 2});
  backward(sum(ops::relu(x)));
  EXPECT_EQ(x.grad().to_vector(), (Floats{0, 1}));
}

TEST(Autograd, PathsThatMeetAdd) {
  const Var x = leaf({1, 2});
  const Var a = ops::relu(x), b = ops::add(a, x);  // y = relu(x) + x + relu(x)
  backward(sum(ops::add(b, a)));
  EXPECT_EQ(x.grad().to_vector(), (Floats{3, 3}));
}

TEST(Autograd, OneVarTwiceInAnOpCountsTwice) {
  const Var x = leaf({1, -2});
  backward(sum(ops::add(x, x)));
  EXPECT_EQ(x.grad().to_vector(), (Floats{2, 2}));
}

// Each diamond doubles; 2^20 paths but 20 nodes, each visited once.
TEST(Autograd, DiamondsOfDiamondsAreWalkedOnce) {
  const Var x = leaf({1});
  Var y = x;
  for (int i = 0; i < 20; ++i) y = ops::add(ops::relu(y), y);
  backward(sum(y));
  EXPECT_EQ(x.grad().to_vector(), (Floats{1 << 20}));
}

TEST(Autograd, TwoLeavesThatShareAGradientStayApart) {
  const Var a = leaf({1}), b = leaf({2});
  backward(sum(ops::add(a, b)));
  backward(sum(a));
  EXPECT_EQ(a.grad().to_vector(), (Floats{2}));
  EXPECT_EQ(b.grad().to_vector(), (Floats{1}));
}

TEST(Autograd, GradientsAccumulateUntilZeroed) {
  Var x = leaf({1, 2});
  backward(sum(x));
  backward(sum(ops::relu(x)));
  EXPECT_EQ(x.grad().to_vector(), (Floats{2, 2}));
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Autograd, InputsThatWantNoGradientGetNone) {
  const Var x = leaf({1}), constant(Tensor::from(Floats{5}, {1}));
  backward(sum(ops::add(x, constant)));
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_FALSE(ops::relu(constant).requires_grad());
}

TEST(Autograd, ATapeRunsOnce) {
  const Var x = leaf({1});
  const Var loss = sum(ops::relu(x));
  backward(loss);
  EXPECT_THROW(backward(loss), Error);
  EXPECT_EQ(x.grad().to_vector(), (Floats{1}));
}

// Otherwise the second loss would lose the gradient silently.
TEST(Autograd, ALossOverAConsumedTrunkIsAnError) {
  const Var x = leaf({1});
  const Var trunk = ops::relu(x);
  const Var first = sum(trunk), second = sum(trunk);
  backward(first);
  EXPECT_THROW(backward(second), Error);
  EXPECT_EQ(x.grad().to_vector(), (Floats{1}));
}

TEST(Autograd, OnlyALossOfOneElementHasABackward) {
  const Var x = leaf({1, 2});
  EXPECT_THROW(backward(ops::relu(x)), ShapeError);
  EXPECT_THROW(backward(Var()), Error);
  EXPECT_THROW(backward(Var(Tensor::zeros({}))), Error);
}

TEST(Autograd, NoGradRecordsNothingAndNests) {
  const Var x = leaf({1});
  EXPECT_TRUE(grad_enabled());
  {
    const NoGrad outer;
    { const NoGrad inner; }
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(ops::relu(x).requires_grad());
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_TRUE(ops::relu(x).requires_grad());
}

constexpr int deep = 60000;  // enough to overflow an 8 MiB stack by recursion

TEST(Autograd, ADeepChainDoesNotOverflowTheStack) {
  const Var x = leaf({1});
  Var y = x;
  for (int i = 0; i < deep; ++i) y = ops::relu(y);
  backward(sum(y));
  EXPECT_EQ(x.grad().to_vector(), (Floats{1}));
}

TEST(Autograd, ADeepChainIsFreedWithoutRecursionWhenNeverRun) {
  const std::size_t before = memory_stats().in_use;
  {
    const Var x = leaf({1});
    Var plain = x, doubled = x, residual = x;
    for (int i = 0; i < deep; ++i) {
      plain = ops::relu(plain);
      doubled = ops::add(doubled, doubled);
      residual = ops::add(ops::relu(residual), residual);
    }
  }
  EXPECT_EQ(memory_stats().in_use, before);
}

TEST(Autograd, WhatOpsSavedIsFreedDuringTheWalk) {
  constexpr std::int64_t n = 1 << 16;
  const std::size_t one = n * sizeof(float);
  const std::size_t before = memory_stats().in_use;
  const Var x(Tensor::zeros({n}), true);
  Var y = x;
  for (int i = 0; i < 16; ++i) y = ops::relu(y);
  Var loss = sum(y);
  y = Var();
  EXPECT_GE(memory_stats().in_use, before + 17 * one);
  reset_peak_memory();
  backward(loss);
  // The value and the gradient of x, and the loss.
  EXPECT_LE(memory_stats().in_use, before + 2 * one + 4096);
  // Beyond what the tape held, no more than two gradients at a time.
  EXPECT_LE(memory_stats().peak, before + 19 * one + 4096);
}

TEST(Autograd, AFailingBackwardLeaksNothing) {
  const std::size_t before = memory_stats().in_use;
  {
    const Var x = leaf({1, 2});
    const Var loss = sum(ops::add(ops::relu(x), x));
    fail_allocation_after(3);
    EXPECT_THROW(backward(loss), OutOfMemory);
    fail_allocation_after(0);
  }
  EXPECT_EQ(memory_stats().in_use, before);
}

// Networks of batch norms: of (2, 5, 3, 4), each with its gamma and beta.
struct Norms {
  Var x;
  std::vector<std::pair<Var, Var>> parameters;

  explicit Norms(Device device)
      : x(in_own_layout(random_tensor({2, 5, 3, 4}, 3, 0).to(device)), true, "x") {}
  Var operator()(const Var& in, const Var& residual = {},
                 Activation activation = Activation::relu) {
    const Device device = x.device();
    const auto n = static_cast<std::uint64_t>(parameters.size());
    const auto leaf = [&](const char* name, std::uint64_t stream) {
      return Var(random_tensor({5}, 4, stream).to(device), true, fmt::format("{} {}", name, n));
    };
    const auto& [gamma, beta] =
        parameters.emplace_back(leaf("gamma", 2 * n), leaf("beta", 2 * n + 1));
    return ops::batch_norm(in, gamma, beta, Tensor::zeros({5}, Dtype::f32, device),
                           Tensor::zeros({5}, Dtype::f32, device), residual,
                           {.activation = activation});
  }
  std::vector<Var> leaves() const {
    std::vector<Var> all{x};
    for (const auto& [gamma, beta] : parameters) all.insert(all.end(), {gamma, beta});
    return all;
  }
};

struct Meeting {
  const char* name;
  std::function<Var(Norms&)> build;
  int adds;  // launches of backward that add gradients
};

Var silu(const Var& x) { return ops::activate(x, Activation::silu); }
Var relu6(const Var& x) { return ops::activate(x, Activation::relu6); }

// Of the operands of an add the last comes first in backward.
const Meeting meetings[] = {
    {"a batch norm with two readers",
     [](Norms& norm) {
       const Var v = norm(norm.x);
       return ops::add(relu6(v), silu(v));
     },
     0},
    {"one behind an add with two readers",
     [](Norms& norm) {
       const Var a = norm(norm.x), v = norm(a, a);
       return ops::add(relu6(v), silu(v));
     },
     0},
    {"one with three readers",
     [](Norms& norm) {
       const Var v = norm(norm.x, {}, Activation::silu);
       return ops::add(ops::add(relu6(v), silu(v)), ops::relu(v));
     },
     1},
    {"one that an add reads twice",
     [](Norms& norm) {
       const Var v = norm(norm.x, {}, Activation::none);
       return ops::add(v, v);
     },
     0},
    {"another's value, which a batch norm reads last",
     [](Norms& norm) {
       const Var v = silu(norm.x);
       return ops::add(norm(v), v);
     },
     0},
    {"another's value, which a batch norm reads first",
     [](Norms& norm) {
       const Var v = silu(norm.x);
       return ops::add(relu6(v), norm(v));
     },
     1},
    {"another's value, which a batch norm reads between two",
     [](Norms& norm) {
       const Var v = silu(norm.x);
       return ops::add(ops::add(relu6(v), norm(v)), v);
     },
     1},
    {"another's value with two batch norms",
     [](Norms& norm) {
       const Var v = silu(norm.x);
       return ops::add(norm(v), norm(v, {}, Activation::none));
     },
     0},
    {"a batch norm's value with two batch norms and another",
     [](Norms& norm) {
       const Var v = norm(norm.x);
       return ops::add(ops::add(norm(v), silu(v)), norm(v, {}, Activation::silu));
     },
     0},
    {"the input and the residual of one batch norm",
     [](Norms& norm) {
       const Var v = silu(norm.x);
       return norm(v, v);
     },
     1},
    {"a leaf", [](Norms& norm) { return ops::add(norm(norm.x), silu(norm.x)); }, 0},
    {"no batch norm",
     [](Norms& norm) {
       const Var v = silu(norm(norm.x));
       return ops::add(ops::add(relu6(v), silu(v)), ops::relu(v));
     },
     2},
};

std::vector<Var> gradients(const Meeting& meeting, Device device, int* adds = nullptr) {
  Norms norms(device);
  const Var y = meeting.build(norms);
  const Tensor dy = random_tensor(y.shape(), 5, 0).to(device).to(y.value().layout());
  if (adds) {
    simt::set_options({.trace = true});
    simt::take_traces();
  }
  backward_from(y, dy);
  if (adds) {
    simt::set_options({});
    *adds = static_cast<int>(std::ranges::count(simt::take_traces(), "add", &simt::Trace::kernel));
  }
  return norms.leaves();
}

TEST(Autograd, GradientsThatMeetAtABatchNormAreThoseOfTheCpu) {
  for (const Meeting& meeting : meetings) {
    const std::vector<Var> expected = gradients(meeting, {});
    for (const Place& place : places()) {
      if (place.device.kind == DeviceKind::cpu || place.dtype != Dtype::f32) continue;
      const At at(place);
      const std::vector<Var> got = gradients(meeting, place.device);
      for (std::size_t i = 0; i < got.size(); ++i) {
        expect_close(got[i].grad(), doubles(expected[i].grad()), 1e-5,
                     fmt::format("{} on {}: {}", meeting.name, place.name, got[i].name()));
      }
    }
  }
}

TEST(Autograd, GradientsThatMeetAtABatchNormTakeNoLaunch) {
  for (const Meeting& meeting : meetings) {
    int adds = -1;
    gradients(meeting, {DeviceKind::simt, 0}, &adds);
    EXPECT_EQ(adds, meeting.adds) << meeting.name;
  }
}

// No more than their sum took: both, and one more, which is dx or the residual's.
TEST(Autograd, TwoGradientsOfABatchNormTakeThreeMaps) {
  const Device device{DeviceKind::simt, 0};
  for (const bool add : {false, true}) {
    const Shape shape{4, 5, 32, 32};
    Norms norm(device);
    norm.x = Var(in_own_layout(random_tensor(shape, 3, 0).to(device)), true);
    Var v = norm(norm.x, add ? norm.x : Var());
    const Tensor dy[] = {v.value().clone(), v.value().clone()};
    const Var loss =
        make_var("probe", Tensor::zeros({}, Dtype::f32, device), {v, v}, [&](const Tensor&) {
          return std::vector<Tensor>{dy[0].clone(), dy[1].clone()};
        });
    v = Var();
    const std::size_t before = memory_stats(device).in_use;
    reset_peak_memory(device);
    backward(loss);
    EXPECT_LE(memory_stats(device).peak, before + 3 * dy[0].bytes() + 4096) << add;
  }
}

TEST(Autograd, GradientsThatMeetAreAlike) {
  const auto give = [](const Tensor& first, const Tensor& second) {
    const Var x = leaf({1, 2});
    backward(make_var("probe", Tensor::zeros({}), {x, x}, [=](const Tensor&) {
      return std::vector<Tensor>{first, second};
    }));
  };
  const Tensor f32 = Tensor::zeros({2});
  EXPECT_NO_THROW(give(f32, f32));
  EXPECT_ERROR(give(f32, Tensor::zeros({1})), ShapeError, "gradients f32", "meet");
  EXPECT_ERROR(give(f32, Tensor::zeros({2}, Dtype::bf16)), ShapeError, "and bf16", "meet");
}

}  // namespace
}  // namespace hac
