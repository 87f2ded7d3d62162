#include "tests/cases/gate.h"
#include "tests/support/every_op.h"

namespace hac {
namespace {

OpCase make_case(const GateSpec& s) {
  OpCase c{.spec = s.str(), .seed = 91, .any_threads = true};
  c.input("x", s.in_shape());
  c.input("g", s.gate_shape(), static_cast<double>(s.h * s.w));
  c.op = [](const std::vector<Var>& in) { return ops::gate(in[0], in[1]); };
  c.forward = [s](const std::vector<Doubles>& in) { return reference::gate(s, in); };
  c.backward = [s](const std::vector<Doubles>& in, const Doubles& dy) {
    return reference::gate_backward(s, in, dy);
  };
  return c;
}

HAC_PROVE_OP(Gate, cases::gate_odd());

TEST(Gate, GatesThatAreShutPassNothing) {
  for (const GateSpec& s : cases::gate_odd()) {
    OpCase c = make_case(s);
    for (float& v : c.inputs[1].value.floats()) v = -200;
    const OpRun got = run(c, true);
    for (const float y : got.y.to_vector()) EXPECT_NEAR(y, 0, 1e-30) << c.spec;
    EXPECT_TRUE(all_finite(got.grads[1])) << c.spec;
  }
}

TEST(Gate, RefusesGatesOfAnotherShape) {
  const Var x(Tensor::zeros({2, 4, 3, 3}));
  for (const Shape& s : {Shape{2, 4, 3, 3}, Shape{2, 3, 1, 1}, Shape{1, 4, 1, 1}, Shape{2, 4}}) {
    EXPECT_ERROR(ops::gate(x, Var(Tensor::zeros(s))), ShapeError,
                 "expects gates (2, 4, 1, 1), got " + s.str());
  }
  EXPECT_THROW(ops::gate(Var(Tensor::zeros({4, 3})), x), ShapeError);
}

}  // namespace
}  // namespace hac
