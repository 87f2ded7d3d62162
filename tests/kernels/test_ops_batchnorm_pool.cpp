// A batch norm with the max pool behind it, in one operation: against the reference in double, and
// against the two operations.

#include "tests/cases/batchnorm.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

struct PooledNorm : BatchNormSpec {};

struct Running {
  Tensor mean, var;
  explicit Running(std::int64_t c, Device device = {})
      : mean(random_tensor({c}, 5, 0).to(device)), var(random_tensor({c}, 5, 1).to(device)) {}
};

Var together(const BatchNormSpec& s, const std::vector<Var>& in, const Running& r) {
  return ops::batch_norm_max_pool(in[0], in[1], in[2], r.mean, r.var,
                                  {.activation = s.activation, .eps = s.eps});
}

Var apart(const BatchNormSpec& s, const std::vector<Var>& in, const Running& r) {
  return ops::pool(ops::batch_norm(in[0], in[1], in[2], r.mean, r.var, {},
                                   {.activation = s.activation, .eps = s.eps}),
                   PoolMode::max);
}

// The pixels of a window lie 0.25 apart at least, gamma is 1 or more: rounding changes no maximum.
OpCase make_case(const PooledNorm& s) {
  OpCase c{.spec = s.str() + " pooled", .seed = 37, .floor = 4e-6};
  const double m = static_cast<double>(s.n * s.h * s.w);
  std::vector<float>::size_type i = 0;
  for (float& v : c.input("x", s.shape()).value.floats()) {
    const std::int64_t column = static_cast<std::int64_t>(i) % s.w;
    const std::int64_t row = static_cast<std::int64_t>(i++) / s.w % s.h;
    v = std::round(2 * v) + 0.25f * static_cast<float>(3 - 2 * (row % 2) - column % 2);
  }
  c.parameter("gamma", {s.c}, m);
  c.parameter("beta", {s.c}, m);
  for (float& v : c.inputs[1].value.floats()) v += v < 0 ? -1 : 1;
  const Pool2dSpec pool{.n = s.n, .c = s.c, .h = s.h, .w = s.w};
  c.op = [s](const std::vector<Var>& in) { return together(s, in, Running(s.c, in[0].device())); };
  c.forward = [s, pool](const std::vector<Doubles>& in) {
    return reference::pool2d(pool, {reference::batch_norm(s, in)});
  };
  c.backward = [s, pool](const std::vector<Doubles>& in, const Doubles& dy) {
    const std::vector<Doubles> map{reference::batch_norm(s, in)};
    return reference::batch_norm_backward(s, in, reference::pool2d_backward(pool, map, dy)[0]);
  };
  return c;
}

// Even maps are run as one, the others as two.
std::vector<PooledNorm> pooled(std::initializer_list<Activation> activations) {
  constexpr std::int64_t shapes[][4] = {
      {2, 1, 4, 6},  {5, 3, 8, 8},  {1, 7, 30, 34},  {5, 16, 4, 4}, {2, 17, 10, 6}, {3, 33, 2, 12},
      {5, 64, 2, 2}, {1, 20, 6, 2}, {2, 17, 2, 140}, {2, 17, 7, 6}, {2, 20, 6, 5},  {3, 3, 5, 7}};
  std::vector<PooledNorm> specs;
  for (const auto& [n, c, h, w] : shapes)
    for (const Activation activation : activations)
      specs.push_back({{.n = n, .c = c, .h = h, .w = w, .activation = activation}});
  return specs;
}

HAC_PROVE_OP(BatchNormPool, pooled({Activation::none, Activation::relu}));

// It is not monotonic, so that two pixels may become one number in 16 bits.
TEST(BatchNormPool, OfASiluMatchesTheReferenceInF32) {
  for (const Place& place : places()) {
    if (place.dtype != Dtype::f32) continue;
    for (const PooledNorm& s : pooled({Activation::silu})) {
      check_against_reference(make_case(s), place);
    }
  }
}

struct Results {
  Tensor y, dx, dgamma, dbeta, mean, var;
};

template <class Op>
Results results(const BatchNormSpec& s, const OpCase& c, const Place& place, Op op) {
  std::vector<Var> inputs;
  for (const OpInput& in : c.inputs) inputs.emplace_back(given(in, true, place), true, in.name);
  const Running r(s.c, place.device);
  const Var y = op(s, inputs, r);
  backward_from(y, gradient_for(c, y.value()));
  return {y.value(), inputs[0].grad(), inputs[1].grad(), inputs[2].grad(), r.mean, r.var};
}

// y and statistics to the bit, gradients but for the order in which their sums are taken.
void expect_same_as_apart(const BatchNormSpec& s, const OpCase& c, const Place& place) {
  const Results one = results(s, c, place, together), two = results(s, c, place, apart);
  const std::string what = c.spec + " on " + place.name;
  expect_same_bits(one.y, two.y, what + " y");
  expect_same_bits(one.mean, two.mean, what + " running mean");
  expect_same_bits(one.var, two.var, what + " running variance");
  const double allowed = std::max(4e-6, rounding(place.dtype));
  expect_close(one.dgamma, doubles(two.dgamma), 4e-6, what + " dgamma");
  expect_close(one.dbeta, doubles(two.dbeta), 4e-6, what + " dbeta");
  expect_close(one.dx, doubles(two.dx), allowed, what + " dx");
}

TEST(BatchNormPool, HasTheNumbersOfTheTwoOperations) {
  for (const Place& place : places()) {
    for (const PooledNorm& s : pooled({Activation::none, Activation::relu, Activation::silu})) {
      OpCase c = make_case(s);
      expect_same_as_apart(s, c, place);
      // Ties: coarse numbers, a ReLU that leaves nothing, and pixels that are all one.
      for (float& v : c.inputs[0].value.floats()) v = std::round(v / 2);
      expect_same_as_apart(s, c, place);
      for (float& v : c.inputs[2].value.floats()) v = -100;
      expect_same_as_apart(s, c, place);
    }
  }
}

void expect_same_or_nan(const Tensor& one, const Tensor& two, bool bits, const std::string& what) {
  const std::vector<float> a = one.to_vector(), b = two.to_vector();
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::isnan(a[i]), std::isnan(b[i])) << what << " " << i;
    ASSERT_TRUE(!bits || std::isnan(a[i]) || a[i] == b[i]) << what << " " << i;
  }
}

// A NaN and an infinity in x fill their channels. An infinite gamma makes a NaN of the mean alone,
// here at every place of a window: a NaN at the first place stays, one at another is skipped on the
// CPU.
TEST(BatchNormPool, PassesOnANaNAsTheTwoOperationsDo) {
  for (const Place& place : places()) {
    for (const Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
      const PooledNorm s{{.n = 2, .c = 17, .h = 4, .w = 6, .activation = activation}};
      OpCase c = make_case(s);
      const auto x = c.inputs[0].value.floats();
      const auto pixel = [&](int n, int channel, int i) -> float& {
        return x[(n * 17 + channel) * 24 + i];
      };
      pixel(1, 0, 11) = std::numeric_limits<float>::quiet_NaN();
      pixel(0, 3, 4) = std::numeric_limits<float>::infinity();
      constexpr float pattern[] = {0, 1, -1, 0, 0,  -1, -1, 1, 0, 1, 1, 0,
                                   1, 0, 0,  0, -1, 1,  -1, 1, 0, 0, 0, -1};
      for (int i = 0; i < 24; ++i) {
        pixel(0, 5, i) = pattern[i];
        pixel(1, 5, i) = -pattern[i];
      }
      c.inputs[1].value.floats()[5] = std::numeric_limits<float>::infinity();
      const Results one = results(s, c, place, together), two = results(s, c, place, apart);
      const std::string what = c.spec + " on " + place.name;
      const std::vector<float> y = one.y.to_vector();
      EXPECT_TRUE(std::isnan(y[5 * 6])) << what << ": the mean at the first place";
      // SiLU itself makes a NaN of minus infinity.
      const bool skips = place.device.kind == DeviceKind::cpu;
      EXPECT_EQ(std::isnan(y[5 * 6 + 1]), activation == Activation::silu || !skips) << what;
      expect_same_or_nan(one.y, two.y, true, what + " y");
      expect_same_or_nan(one.mean, two.mean, true, what + " running mean");
      expect_same_or_nan(one.var, two.var, true, what + " running variance");
      expect_same_or_nan(one.dx, two.dx, false, what + " dx");
      expect_same_or_nan(one.dgamma, two.dgamma, false, what + " dgamma");
      expect_same_or_nan(one.dbeta, two.dbeta, false, what + " dbeta");
    }
  }
}

TEST(BatchNormPool, AConstantChannelStaysFinite) {
  const PooledNorm s{{.n = 2, .c = 17, .h = 4, .w = 2}};
  OpCase c = make_case(s);
  for (float& v : c.inputs[0].value.floats()) v = 1;
  const OpRun got = run(c, true);
  for (const Tensor& grad : got.grads) EXPECT_TRUE(all_finite(grad));
  const std::vector<float> y = got.y.to_vector();  // x = mean, so y = beta
  for (std::size_t i = 0; i < y.size(); ++i)
    EXPECT_NEAR(y[i], c.inputs[2].value.floats()[i / 2 % 17], 1e-6);
}

TEST(BatchNormPool, EvaluatesAndTrainsWithoutATapeAsTheTwoOperations) {
  for (const bool training : {true, false}) {
    const PooledNorm s{{.n = 2, .c = 17, .h = 4, .w = 6, .activation = Activation::relu}};
    const OpCase c = make_case(s);
    Running a(s.c), b(s.c);
    for (float& v : a.var.floats()) v = std::abs(v);
    b.var.copy_from(a.var);
    const ops::BatchNormOptions options{.training = training, .activation = s.activation};
    std::vector<Var> in;
    for (const OpInput& input : c.inputs) in.emplace_back(input.value);
    const NoGrad off;
    const Var one = ops::batch_norm_max_pool(in[0], in[1], in[2], a.mean, a.var, options);
    const Var two =
        ops::pool(ops::batch_norm(in[0], in[1], in[2], b.mean, b.var, {}, options), PoolMode::max);
    expect_same_bits(one.value(), two.value(), "y");
    expect_same_bits(a.mean, b.mean, "running mean");
    expect_same_bits(a.var, b.var, "running variance");
  }
}

// What a tape holds: the pooled map and a byte for each of its elements.
TEST(BatchNormPool, MakesNoMapInBetween) {
  const PooledNorm s{{.n = 4, .c = 16, .h = 32, .w = 32, .activation = Activation::relu}};
  const OpCase c = make_case(s);
  std::vector<Var> in;
  for (const OpInput& input : c.inputs) in.emplace_back(given(input, true), true, input.name);
  const Running r(s.c);
  const std::size_t before = memory_stats().in_use;
  const Var y = together(s, in, r);
  EXPECT_LE(memory_stats().in_use - before, y.value().bytes() / 4 * 5 + 4096);
}

TEST(BatchNormPool, RefusesWhatDoesNotFit) {
  const auto call = [](const Shape& x, std::int64_t c) {
    const Running r(c);
    return ops::batch_norm_max_pool(Var(Tensor::zeros(x), true), Var(Tensor::zeros({c})),
                                    Var(Tensor::zeros({c})), r.mean, r.var, {});
  };
  EXPECT_NO_THROW(call({2, 4, 2, 2}, 4));
  EXPECT_THROW(call({2, 4, 2, 2}, 5), ShapeError);
  EXPECT_THROW(call({2, 4}, 4), ShapeError);
  EXPECT_THROW(call({2, 4, 2, 1}, 4), ShapeError) << "no window fits";
}

}  // namespace
}  // namespace hac
