#pragma once
// What the paper claims, judged one by one by what a run found on its device and data. Every
// function is pure.
//
// A claim of accuracy rests on differences paired by seed, at least three: Student's t, with Holm's
// correction over the family of all comparisons of the result table with HACScale's row, or of all
// pairs of the alpha curve. That row is `hacscale`, plain Algorithm 1, whichever row turns out
// best. "At equal latency" allows 10 %, as families of networks grow in steps: where HACScale costs
// more, it cannot win, where less, not lose. A utilization moves where the 95 % interval of its
// ratio leaves 5 %. What is not significant cannot be told; only where the interval excludes
// `negligible` is there no difference.

#include <vector>

#include "scaling/experiment/results.h"

namespace hac {

// The table's row of uniform width with as many parameters as `hacscale`, at its resolution.
inline constexpr const char* equal_params_key = "uniform-params";

struct ClaimRules {
  static constexpr double noticeable = 0.05;   // of a utilization, a gain
  static constexpr double equal_cost = 0.1;    // of latencies, of parameters
  static constexpr double significant = 0.05;  // p, after correction
  static constexpr double negligible = 0.005;  // of top-1: half a point
  static constexpr std::size_t seeds = 3;      // at least
};

std::vector<Claim> claims_of(const Results& results);  // all of the following, in this order

// Fig. 2: at the largest growth of operations that width, resolution and depth have in common.
std::vector<Claim> utilization_claims(const Results& results);
// Fig. 3, Eq. 6: the laws on widths that they were not fitted on, and the order that they give.
std::vector<Claim> importance_claims(const Results& results);
// Eq. 4: the best point of the alpha curve against the worst.
Claim alpha_claim(const Results& results);
// Table I: HACScale's row against each other one, and against the optimum of its own laws.
std::vector<Claim> accuracy_claims(const Results& results);
// Fig. 5: here, where a meter was found, and by what Table I prints.
std::vector<Claim> energy_claims(const Results& results);

}  // namespace hac
