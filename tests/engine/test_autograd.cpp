#include <gtest/gtest.h>

#include "engine/autograd/ops.h"
#include "kernels/core/error.h"

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

}  // namespace
}  // namespace hac
