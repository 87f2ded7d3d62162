#include "tests/cases/linear.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

OpCase make_case(const LinearSpec& s) {
  OpCase c{.spec = s.str(), .seed = 51};
  c.terms = static_cast<double>(s.in);
  c.input("x", s.in_shape(), static_cast<double>(s.out));
  c.parameter("weight", s.weight_shape(), static_cast<double>(s.n));
  if (s.bias) c.parameter("bias", {s.out}, static_cast<double>(s.n));
  c.op = [s](const std::vector<Var>& in) {
    return ops::linear(in[0], in[1], s.bias ? in[2] : Var());
  };
  c.forward = [s](const std::vector<Doubles>& in) { return reference::linear(s, in); };
  c.backward = [s](const std::vector<Doubles>& in, const Doubles& dy) {
    return reference::linear_backward(s, in, dy);
  };
  return c;
}

HAC_PROVE_OP(Linear, cases::linear_odd());

TEST(Linear, RefusesWhatDoesNotFit) {
  const auto var = [](const Shape& shape) { return Var(Tensor::zeros(shape), true, "classifier"); };
  EXPECT_THROW(ops::linear(var({2, 8}), var({3, 7}), Var()), ShapeError);
  EXPECT_THROW(ops::linear(var({2, 8}), var({3, 8}), var({4})), ShapeError);
  EXPECT_THROW(ops::linear(var({2, 8, 1, 1}), var({3, 8}), Var()), ShapeError);
}

}  // namespace
}  // namespace hac
