#pragma once
// What is proved of every op, on each of its cases. An op's test has a make_case() for its specs:
//   HAC_PROVE_OP(Pool2d, cases::pool2d_odd());

#include "tests/support/op_test.h"

namespace hac {

struct OpCases {
  const char* name;
  std::vector<OpCase> (*make)();
  friend void PrintTo(const OpCases& op, std::ostream* out) { *out << op.name; }
};

// clang-format off
#define HAC_PROVE_OP(op, specs)                                           \
  INSTANTIATE_TEST_SUITE_P(op, EveryOp, testing::Values(OpCases{#op, [] { \
    std::vector<OpCase> all;                                              \
    for (const auto& s : specs) all.push_back(make_case(s));              \
    return all;                                                           \
  }}))
// clang-format on

inline OpCase make_case(const OpCase& c) { return c; }

class EveryOp : public ::testing::TestWithParam<OpCases> {};

TEST_P(EveryOp, MatchesTheReference) {
  for (const OpCase& c : GetParam().make()) check_against_reference(c);
}

TEST_P(EveryOp, ReferenceMatchesDifferences) {
  for (const OpCase& c : GetParam().make())
    if (c.differences) check_reference_by_differences(c);
}

inline std::vector<Place> places_of_the_cpu() {
  std::vector<Place> all = places();
  std::erase_if(all, [](const Place& p) { return p.device.kind != DeviceKind::cpu; });
  return all;
}

TEST_P(EveryOp, IsRepeatable) {
  for (const Place& place : places_of_the_cpu())
    for (const OpCase& c : GetParam().make()) check_repeatable(c, place);
}

TEST_P(EveryOp, PaddingStaysZero) {
  for (const Place& place : places_of_the_cpu())
    for (const OpCase& c : GetParam().make()) check_padding(c, place);
}

TEST_P(EveryOp, SurvivesFailingAllocations) {
  for (const OpCase& c : GetParam().make())
    if (c.allocations) check_failing_allocations(c);
}

}  // namespace hac
