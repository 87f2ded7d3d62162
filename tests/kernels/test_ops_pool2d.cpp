#include "tests/cases/pool2d.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

OpCase make_case(const Pool2dSpec& s) {
  OpCase c{.spec = s.str(), .seed = 41};
  const bool global = s.mode == PoolMode::global_avg;
  c.terms = static_cast<double>(global ? s.h * s.w : s.kernel * s.kernel);
  c.input("x", s.in_shape(), c.terms);
  c.op = [s](const std::vector<Var>& in) {
    return ops::pool(in[0], s.mode, {.kernel = s.kernel, .stride = s.stride, .pad = s.pad});
  };
  c.forward = [s](const std::vector<Doubles>& in) { return reference::pool2d(s, in); };
  c.backward = [s](const std::vector<Doubles>& in, const Doubles& dy) {
    return reference::pool2d_backward(s, in, dy);
  };
  return c;
}

HAC_PROVE_OP(Pool2d, cases::pool2d_odd());

// Behind a ReLU most windows hold several equal maxima: the first in row order takes the gradient.
TEST(Pool2d, TheFirstOfEqualMaximaTakesTheGradient) {
  for (const Pool2dSpec& s : cases::pool2d_odd()) {
    if (s.mode != PoolMode::max) continue;
    OpCase c = make_case(s);
    for (float& v : c.inputs[0].value.floats()) v = std::max(0.f, std::round(v));
    check_against_reference(c);
  }
}

// Padding counts as minus infinity, not as zero.
TEST(Pool2d, MaximaOfNegativeNumbersIgnoreThePadding) {
  for (const std::int64_t channels : {3, 17}) {
    OpCase c =
        make_case({.n = 2, .c = channels, .h = 5, .w = 5, .kernel = 3, .stride = 2, .pad = 1});
    for (float& v : c.inputs[0].value.floats()) v = -10 - std::abs(v);
    check_against_reference(c);
  }
}

TEST(Pool2d, EvaluationGivesTheSameNumbers) {
  for (const Pool2dSpec& s : cases::pool2d_odd()) {
    const OpCase c = make_case(s);
    const NoGrad off;
    const Var y = c.op({Var(in_own_layout(c.inputs[0].value))});
    expect_close(y.value(), c.forward(reference_inputs(c)), tolerance(c.terms, c.floor), c.spec);
  }
}

TEST(Pool2d, RefusesWhatDoesNotFit) {
  const Var x(Tensor::zeros({1, 4, 3, 3}));
  EXPECT_THROW(ops::pool(x, PoolMode::max, {.kernel = 4, .stride = 1}), ShapeError);
  EXPECT_THROW(ops::pool(x, PoolMode::avg, {.kernel = 0}), ShapeError);
  EXPECT_THROW(ops::pool(x, PoolMode::max, {.stride = 0}), ShapeError);
  EXPECT_THROW(ops::pool(x, PoolMode::max, {.kernel = 2, .pad = 2}), ShapeError);
  EXPECT_THROW(ops::pool(x, PoolMode::max, {.pad = -1}), ShapeError);
  EXPECT_THROW(ops::pool(Var(Tensor::zeros({4, 3})), PoolMode::global_avg), ShapeError);
}

// A map that no cache holds is written past them, one image is not.
TEST(Pool2d, ALargeMapHasTheGradientsOfItsImages) {
  const Pool2dSpec s{.n = 60, .c = 20, .h = 63, .w = 50};
  const Tensor x = random_tensor(s.in_shape(), 7, 0), dy = random_tensor(s.out_shape(), 7, 1);
  const auto gradient = [](const Tensor& images, const Tensor& of_y) {
    const Var input(images, true);
    backward_from(ops::pool(input, PoolMode::max), of_y.to(layout_of({}, of_y.shape())));
    return input.grad();
  };
  const Tensor whole = gradient(x, dy);
  for (const std::int64_t i : {0, 1, 58, 59}) {
    expect_same_bits(whole.slice(i, i + 1).clone(),
                     gradient(x.slice(i, i + 1).clone(), dy.slice(i, i + 1).clone()), "dx");
  }
}

}  // namespace
}  // namespace hac
