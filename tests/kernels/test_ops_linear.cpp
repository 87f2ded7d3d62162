#include <gtest/gtest.h>

#include "tests/cases/linear.h"
#include "tests/support/op_test.h"

namespace hac {
namespace {

OpCase make_case(const LinearSpec& s) {
  OpCase c{.spec = s.str(), .seed = 51};
  c.terms = static_cast<double>(s.in);
  c.inputs = {{.name = "x",
               .value = random_tensor(s.in_shape(), c.seed, 0),
               .terms = static_cast<double>(s.out)},
              {.name = "weight",
               .value = random_tensor(s.weight_shape(), c.seed, 1),
               .terms = static_cast<double>(s.n),
               .activation = false}};
  if (s.bias) {
    c.inputs.push_back({.name = "bias",
                        .value = random_tensor({s.out}, c.seed, 2),
                        .terms = static_cast<double>(s.n),
                        .activation = false});
  }
  c.op = [s](const std::vector<Var>& in) {
    return ops::linear(in[0], in[1], s.bias ? in[2] : Var());
  };
  c.forward = [s](const std::vector<Doubles>& in) { return reference::linear(s, in); };
  c.backward = [s](const std::vector<Doubles>& in, const Doubles& dy) {
    return reference::linear_backward(s, in, dy);
  };
  return c;
}

TEST(Linear, MatchesTheReference) {
  for (const LinearSpec& s : cases::linear_odd()) check_against_reference(make_case(s));
}

TEST(Linear, ReferenceMatchesDifferences) {
  for (const LinearSpec& s : cases::linear_odd()) check_reference_by_differences(make_case(s));
}

TEST(Linear, IsRepeatable) {
  for (const LinearSpec& s : cases::linear_odd()) check_repeatable(make_case(s));
}

TEST(Linear, TailsStayZero) {
  for (const LinearSpec& s : cases::linear_odd()) check_padding(make_case(s));
}

TEST(Linear, SurvivesFailingAllocations) {
  for (const LinearSpec& s : cases::linear_odd()) check_failing_allocations(make_case(s));
}

TEST(Linear, RefusesWhatDoesNotFit) {
  const auto var = [](const Shape& shape) { return Var(Tensor::zeros(shape), true, "classifier"); };
  EXPECT_THROW(ops::linear(var({2, 8}), var({3, 7}), Var()), ShapeError);
  EXPECT_THROW(ops::linear(var({2, 8}), var({3, 8}), var({4})), ShapeError);
  EXPECT_THROW(ops::linear(var({2, 8, 1, 1}), var({3, 8}), Var()), ShapeError);
}

}  // namespace
}  // namespace hac
