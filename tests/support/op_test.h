#pragma once
// One harness for every differentiable op. A case is its inputs, the op, and the reference in
// double; tests/support/every_op.h runs the checks on all cases of an op.

#include <algorithm>
#include <cstring>
#include <functional>

#include "engine/autograd/ops.h"
#include "kernels/core/random.h"
#include "tests/support/messages.h"
#include "tests/support/places.h"
#include "tests/support/reference.h"

namespace hac {

using reference::Doubles;

// Rounding errors of a sum of K random terms grow like a random walk: eps * sqrt(K), relative to
// the size of the result. eps = 2^-23 leaves a factor of two. Relative to the largest element.
inline double tolerance(double terms, double floor) {
  return std::max(floor, 0x1p-23 * std::sqrt(terms));
}

inline std::vector<float> random_normal(std::int64_t n, std::uint64_t seed, std::uint64_t stream) {
  std::vector<float> values(n);
  for (std::int64_t i = 0; i < n; ++i) values[i] = Philox{seed, stream}.normal(i);
  return values;
}

inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
  return Tensor::from(random_normal(shape.numel(), seed, stream), shape);
}

struct OpInput {
  std::string name;
  Tensor value;      // plain f32
  double terms = 1;  // terms of the longest sum in its gradient
  bool wants_grad = true;
  bool activation = true;  // else a parameter, which is always plain
};

struct OpCase {
  std::string spec;
  std::uint64_t seed = 0;
  std::function<Var(const std::vector<Var>&)> op;
  std::function<Doubles(const std::vector<Doubles>&)> forward;
  std::function<std::vector<Doubles>(const std::vector<Doubles>&, const Doubles& dy)> backward;
  double terms = 1;          // of the longest sum in an output
  double floor = 1e-6;       // least tolerance: what the op loses besides summing
  bool any_threads = false;  // the same bits at any number of threads
  bool differences = true, allocations = true;  // else too large for that proof
  std::vector<OpInput> inputs{};

  // The next operand: random, by the case's seed and its number.
  OpInput& input(const std::string& name, const Shape& shape, double sum_terms = 1) {
    inputs.push_back({name, random_tensor(shape, seed, inputs.size()), sum_terms});
    return inputs.back();
  }
  void parameter(const std::string& name, const Shape& shape, double sum_terms) {
    input(name, shape, sum_terms).activation = false;
  }
};

inline Doubles doubles(const Tensor& t) {
  const std::vector<float> v = t.to_vector();
  return {v.begin(), v.end()};
}

// The element that is furthest off, if any is out of tolerance (relative to the largest element).
inline void expect_close(const Tensor& got, const Doubles& expected, double relative,
                         const std::string& what) {
  const std::vector<float> values = got.to_vector();
  ASSERT_EQ(values.size(), expected.size()) << what;
  double largest = 0, worst = 0;
  for (const double v : expected) largest = std::max(largest, std::abs(v));
  const double allowed = relative * std::max(largest, 1e-30);
  std::size_t at = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double share = std::abs(values[i] - expected[i]) / allowed;
    if (share <= worst) continue;  // a NaN goes on
    worst = std::isnan(share) ? std::numeric_limits<double>::infinity() : share;
    at = i;
  }
  if (values.empty()) return;
  EXPECT_LE(worst, 1) << what << ": index " << at << ", got " << values[at] << ", expected "
                      << expected[at] << ", " << 100 * worst << " % of the tolerance " << allowed;
}

// Activates, and returns by how much ReLU6 made the largest value smaller: sums err by their own
// size, which it hides.
inline double activate_all(Activation activation, Doubles& values) {
  const auto largest = [&] {
    double size = 1e-30;
    for (const double v : values) size = std::max(size, std::abs(v));
    return size;
  };
  const double before = largest();
  for (double& v : values) v = reference::activate(activation, v);
  return activation == Activation::relu6 ? std::max(1., before / largest()) : 1;
}

inline std::string describe(const OpCase& c) { return c.spec + " seed " + std::to_string(c.seed); }

struct OpRun {
  Tensor y;
  std::vector<Tensor> grads;  // of each input, undefined where none is wanted
};

inline Tensor in_own_layout(const Tensor& t) { return t.to(layout_of(t.device(), t.shape())); }

// own: activations come in the device's own layout, as between layers; else plain.
inline Tensor given(const OpInput& in, bool own, const Place& place = {}) {
  const Tensor value = in.value.to(place.device).cast(in.activation ? place.dtype : Dtype::f32);
  return own && in.activation ? in_own_layout(value) : value;
}

inline Tensor gradient_for(const OpCase& c, const Tensor& y) {
  return random_tensor(y.shape(), c.seed, 1000).to(y.device()).cast(y.dtype()).to(y.layout());
}

// As if a loss stood behind y whose gradient of it is dy.
inline void backward_from(const Var& y, const Tensor& dy) {
  backward(make_var("probe", Tensor::zeros({}, Dtype::f32, y.device()), {y},
                    [dy](const Tensor&) { return std::vector<Tensor>{dy}; }));
}

inline OpRun run(const OpCase& c, bool own, const Place& place = {}) {
  std::vector<Var> inputs;
  for (const OpInput& in : c.inputs) {
    inputs.emplace_back(given(in, own, place), in.wants_grad, in.name);
  }
  const Var y = c.op(inputs);
  backward_from(y, gradient_for(c, y.value()));
  OpRun result{y.value(), {}};
  for (const Var& v : inputs) result.grads.push_back(v.grad());
  return result;
}

inline std::vector<Doubles> reference_inputs(const OpCase& c) {
  std::vector<Doubles> inputs;
  for (const OpInput& in : c.inputs) inputs.push_back(doubles(in.value));
  return inputs;
}

// The reference gets the numbers that the place's type can hold, so that only the op's own rounding
// is left.
inline OpCase rounded(OpCase c, Dtype dtype) {
  for (OpInput& in : c.inputs) in.value = in.value.cast(dtype).cast(Dtype::f32);
  return c;
}

inline void check_against_reference(const OpCase& given_case, const Place& place) {
  const At at(place);
  const OpCase c = rounded(given_case, place.dtype);
  const std::vector<Doubles> inputs = reference_inputs(c);
  const Doubles expected = c.forward(inputs);
  const double floor = std::max(c.floor, rounding(place.dtype));
  for (const bool own : {true, false}) {
    const OpRun got = run(c, own, place);
    const std::string where = describe(c) + " on " + place.name + (own ? "" : " plain");
    expect_close(got.y, expected, tolerance(c.terms, floor), where + " forward");
    const std::vector<Doubles> grads = c.backward(inputs, doubles(gradient_for(c, got.y)));
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      const OpInput& in = c.inputs[i];
      if (!in.wants_grad) {
        EXPECT_FALSE(got.grads[i].defined()) << where << " " << in.name;
        continue;
      }
      ASSERT_TRUE(got.grads[i].defined()) << where << " " << in.name;
      EXPECT_EQ(got.grads[i].layout(), given(in, own, place).layout()) << where << in.name;
      expect_close(got.grads[i], grads[i], tolerance(in.terms, floor),
                   where + " gradient of " + in.name);
    }
  }
}

inline void check_against_reference(const OpCase& c) {
  for (const Place& place : places()) check_against_reference(c, place);
}

inline double dot(const Doubles& a, const Doubles& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// (f(x + h d) - f(x - h d)) / 2h . dy = gradient . d along a random direction d of each input.
// Central differences in double are good to h^2 + 1e-16 / h.
inline void check_reference_by_differences(const OpCase& c) {
  const std::vector<Doubles> inputs = reference_inputs(c);
  const std::size_t outputs = c.forward(inputs).size();
  const std::vector<float> v = random_normal(static_cast<std::int64_t>(outputs), c.seed, 1000);
  const Doubles dy(v.begin(), v.end());
  const std::vector<Doubles> grads = c.backward(inputs, dy);
  constexpr double h = 1e-6;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!c.inputs[i].wants_grad) continue;
    const auto n = static_cast<std::int64_t>(inputs[i].size());
    const std::vector<float> d = random_normal(n, c.seed, 2000 + i);
    const Doubles direction(d.begin(), d.end());
    const auto along = [&](double step) {
      std::vector<Doubles> moved = inputs;
      for (std::size_t j = 0; j < direction.size(); ++j) moved[i][j] += step * direction[j];
      return dot(c.forward(moved), dy);
    };
    const double numeric = (along(h) - along(-h)) / (2 * h), analytic = dot(grads[i], direction);
    const double size = std::sqrt(dot(grads[i], grads[i]) * dot(direction, direction));
    EXPECT_NEAR(numeric, analytic, 1e-6 * std::max(size, 1e-3))
        << describe(c) << " gradient of " << c.inputs[i].name;
  }
}

inline void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (a.defined()) {
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0) << what;
  }
}

inline void check_repeatable(const OpCase& c, const Place& place = {}) {
  const OpRun first = run(c, true, place);
  for (const int threads : {0, 1, 3}) {
    if (threads > 0 && !c.any_threads) break;
    set_num_threads(threads);
    const OpRun again = run(c, true, place);
    set_num_threads(0);
    expect_same_bits(first.y, again.y, describe(c) + " forward");
    for (std::size_t i = 0; i < c.inputs.size(); ++i)
      expect_same_bits(first.grads[i], again.grads[i], describe(c) + " " + c.inputs[i].name);
  }
}

// Storage beyond the logical elements: a block's added channels, and the tail of 64 bytes.
inline void expect_zero_padding(const Tensor& t, const std::string& what) {
  if (!t.defined()) return;
  const std::vector<float> values = t.to_vector();
  const Tensor wide = t.cast(Dtype::f32);
  const auto nonzero = [](const auto& v) {
    return std::count_if(v.begin(), v.end(), [](auto x) { return x != 0; });
  };
  EXPECT_EQ(nonzero(wide.floats()), nonzero(values)) << what << ": padding channels are not zero";
  by_dtype(t.dtype(), [&]<class T>(T) {
    const T* stored = static_cast<const T*>(t.data());
    for (std::int64_t i = t.storage_numel(); i * sizeof(T) % 64 != 0; ++i) {
      EXPECT_EQ(to_float(stored[i]), 0) << what << ": storage tail is not zero";
    }
  });
}

inline void check_padding(const OpCase& c, const Place& place = {}) {
  const OpRun got = run(c, true, place);
  expect_zero_padding(got.y, describe(c) + " forward");
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    expect_zero_padding(got.grads[i], describe(c) + " gradient of " + c.inputs[i].name);
}

// Each allocation of a run fails in turn: an OutOfMemory, and nothing stays behind.
inline void check_failing_allocations(const OpCase& c) {
  run(c, true);  // plans are made once and kept
  const std::size_t before = memory_stats().in_use;
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 100) << describe(c) << ": never ran through";
    fail_allocation_after(n);
    bool failed = false;
    try {
      run(c, true);
    } catch (const OutOfMemory&) {
      failed = true;
    }
    fail_allocation_after(0);
    EXPECT_EQ(memory_stats().in_use, before) << describe(c) << ": allocation " << n << " leaks";
    if (!failed) break;
    ASSERT_NO_THROW(run(c, true)) << describe(c) << ": does not run after allocation " << n;
  }
}

}  // namespace hac
