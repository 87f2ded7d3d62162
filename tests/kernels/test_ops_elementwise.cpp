// Activations, add, flatten, and the kernels that only other code calls: add with an activation,
// Taylor.

#include "kernels/ops/taylor.h"
#include "tests/cases/elementwise.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

OpCase activation_case(const Shape& shape, Activation a) {
  OpCase c{.spec = ActivationSpec{.activation = a, .shape = shape}.str(), .seed = 81};
  for (float& v : c.input("x", shape).value.floats()) v *= 4;  // beyond 6 too
  c.op = [a](const std::vector<Var>& in) { return ops::activate(in[0], a); };
  c.forward = [a](const std::vector<Doubles>& in) {
    Doubles y = in[0];
    for (double& v : y) v = reference::activate(a, v);
    return y;
  };
  c.backward = [a](const std::vector<Doubles>& in, const Doubles& dy) {
    Doubles dx = dy;
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] *= reference::activation_slope(a, in[0][i]);
    return std::vector<Doubles>{dx};
  };
  return c;
}

OpCase add_case(const Shape& shape) {
  OpCase c{.spec = "add " + shape.str(), .seed = 82};
  c.input("a", shape);
  c.input("b", shape);
  c.op = [](const std::vector<Var>& in) { return ops::add(in[0], in[1]); };
  c.forward = [](const std::vector<Doubles>& in) {
    Doubles y = in[0];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += in[1][i];
    return y;
  };
  c.backward = [](const std::vector<Doubles>&, const Doubles& dy) {
    return std::vector<Doubles>{dy, dy};
  };
  return c;
}

OpCase flatten_case(const Shape& shape) {
  OpCase c{.spec = "flatten " + shape.str(), .seed = 83};
  c.input("x", shape);
  c.op = [](const std::vector<Var>& in) { return ops::flatten(in[0]); };
  c.forward = [](const std::vector<Doubles>& in) { return in[0]; };
  c.backward = [](const std::vector<Doubles>&, const Doubles& dy) {
    return std::vector<Doubles>{dy};
  };
  return c;
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> all;
  for (const auto& s : cases::activation_odd())
    all.push_back(activation_case(s.shape, s.activation));
  for (const AddSpec& s : cases::add_odd()) {
    all.push_back(add_case(s.shape));
    if (s.shape.rank() == 4) all.push_back(flatten_case(s.shape));
  }
  return all;
}

HAC_PROVE_OP(Elementwise, all_cases());

TEST(Elementwise, AddTakesOperandsInDifferentLayouts) {
  const Shape shape{2, 17, 3, 3};
  const Tensor a = random_tensor(shape, 1, 0), b = random_tensor(shape, 1, 1);
  Doubles expected = doubles(a);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += b.floats()[i];
  const Var left(in_own_layout(a), true), right(b, true);
  const Var y = ops::add(left, right);
  expect_close(y.value(), expected, 1e-7, "own + plain");
  const Tensor dy = random_tensor(shape, 1, 2);
  backward_from(y, in_own_layout(dy));
  EXPECT_EQ(left.grad().to_vector(), dy.to_vector());
  EXPECT_EQ(right.grad().to_vector(), dy.to_vector());
  EXPECT_EQ(right.grad().layout(), Layout::plain);
  EXPECT_THROW(ops::add(left, Var(Tensor::zeros({2, 17, 3, 1}))), ShapeError);
}

// max(x, 0) of a NaN must not turn a diverged training into a quiet one.
TEST(Elementwise, ActivationsKeepNotANumber) {
  const Tensor x = Tensor::from(std::vector<float>{std::nanf(""), -1, 0, 2}, {4});
  const std::vector<float> y = ops::relu(Var(x)).value().to_vector();
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(std::vector<float>(y.begin() + 1, y.end()), (std::vector<float>{0, 0, 2}));
  EXPECT_TRUE(std::isnan(ops::activate(Var(x), Activation::silu).value().to_vector()[0]));
}

// Over the whole range of floats, at the ends of which exp() leaves it.
TEST(Elementwise, SiluIsExactOverItsRange) {
  std::vector<float> values;
  for (float v = 1e-30f; v < 1e30f; v *= 1.07f) values.insert(values.end(), {v, -v});
  const auto n = static_cast<std::int64_t>(values.size());
  const Var x(Tensor::from(values, {n}), true);
  const Var y = ops::activate(x, Activation::silu);
  backward_from(y, Tensor::from(std::vector<float>(n, 1.f), {n}));
  for (std::int64_t i = 0; i < n; ++i) {
    const double expected = reference::activate(Activation::silu, values[i]);
    const double slope = reference::activation_slope(Activation::silu, values[i]);
    // Below -87 the result, and in between its product with a large x, is next to nothing.
    const double allowed = 1e-6 * std::abs(expected) + 1e-35 * std::max(1.f, std::abs(values[i]));
    EXPECT_NEAR(y.value().floats()[i], expected, allowed) << values[i];
    EXPECT_NEAR(x.grad().floats()[i], slope, 1e-6 + 1e-35 * std::abs(values[i])) << values[i];
  }
}

TEST(Elementwise, ActivationsWithoutKernelsAreNotAvailable) {
  const Var x(Tensor::zeros({4}));
  for (const Activation a : {Activation::hardswish, Activation::sigmoid}) {
    EXPECT_THROW(ops::activate(x, a), DeviceError);
  }
  const BatchNormSpec behind_a_sum{.add = true, .activation = Activation::silu};
  EXPECT_THROW(batchnorm_kernels.on({}, &BatchNormKernels::backward, behind_a_sum), DeviceError);
}

TEST(Elementwise, KernelsWorkInPlaceAndInParallel) {
  for (const std::int64_t n : {1, 33, 16384, 50001}) {
    const AddSpec spec{.shape = {n}}, with_relu{.activation = Activation::relu, .shape = {n}};
    Context& context = Context::current();
    const Tensor a = random_tensor({n}, 3, 0), b = random_tensor({n}, 3, 1);
    Doubles sum = doubles(a), clipped;
    for (std::int64_t i = 0; i < n; ++i) {
      sum[i] += b.floats()[i];
      clipped.push_back(std::max(sum[i], 0.));
    }
    const Tensor y = a.clone();
    add_cpu.forward(context, spec, y.data(), b.data(), y.data());
    expect_close(y, sum, 1e-7, "add");
    y.copy_from(a);
    add_cpu.forward(context, with_relu, b.data(), y.data(), y.data());
    expect_close(y, clipped, 1e-7, "add and relu");
  }
}

TEST(Elementwise, OtherElementTypesAreNotAvailable) {
  const ActivationSpec spec{.dtype = Dtype::f16, .shape = {2}};
  const Tensor t = Tensor::zeros({2}, Dtype::f16);
  EXPECT_THROW(activation_cpu.forward(Context::current(), spec, t.data(), t.data()), DeviceError);
}

// From 0.5 on, the same minibatch twice.
std::vector<double> scores(Device device, const Tensor& weights, const Tensor& gradients) {
  const std::int64_t kernels = weights.shape()[0];
  const Tensor w = weights.to(device), dw = gradients.to(device);
  const Tensor sums = Tensor::empty({kernels * 8}, Dtype::u8);
  std::fill_n(sums.as<double>(), kernels, 0.5);
  const Tensor there = sums.to(device);
  const TaylorSegment segment{.w = w.data(),
                              .dw = dw.data(),
                              .score = there.data(),
                              .kernels = kernels,
                              .weights = weights.shape()[1]};
  for (int batch = 0; batch < 2; ++batch) {
    taylor_kernels.run(&TaylorKernels::accumulate, device, TaylorSpec{}, nullptr,
                       std::span<const TaylorSegment>(&segment, 1));
  }
  sums.copy_from(there);
  return {sums.as<double>(), sums.as<double>() + kernels};
}

// score[k] += sum (dw * w)^2 in double (Eq. 5), in the same order at any thread count.
TEST(Taylor, AccumulatesTheScoreOfEveryKernel) {
  for (const auto& [kernels, weights] : {std::pair<std::int64_t, std::int64_t>{1, 1},
                                         {3, 7},
                                         {17, 27},
                                         {33, 16 * 9},
                                         {64, 33 * 9}}) {
    const Tensor w = random_tensor({kernels, weights}, 4, 0);
    const Tensor dw = random_tensor({kernels, weights}, 4, 1);
    std::vector<double> expected(kernels, 0.5);
    for (std::int64_t i = 0; i < kernels * weights; ++i)
      expected[i / weights] += 2 * std::pow(double{w.floats()[i]} * dw.floats()[i], 2);
    for (const Place& place : places()) {
      const At at(place);
      const std::vector<double> got = scores(place.device, w, dw);
      for (std::int64_t k = 0; k < kernels; ++k)
        EXPECT_NEAR(got[k], expected[k], 1e-13 * expected[k])
            << place.name << " " << w.shape().str() << " kernel " << k;
    }
    const std::vector<double> all_threads = scores({}, w, dw);
    set_num_threads(1);
    EXPECT_EQ(all_threads, scores({}, w, dw)) << w.shape().str();
    set_num_threads(0);
  }
}

}  // namespace
}  // namespace hac
