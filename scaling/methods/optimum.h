#pragma once
// The optimum that Algorithm 1 approaches. Read I_l(C) = a C^b as the loss saved by the C-th
// kernel; the gain of a width is
//
//   G_l(C) = sum over c from C_l^0 + 1 to C of I_l(c),
//
// and the best widths maximise sum_l G_l(C_l) within the limits: plain Algorithm 1 is steepest
// ascent on it, `per-latency` and `per-param` are its greedy knapsacks. What it leaves between
// itself and the optimum tells a bad optimiser from bad laws. The method is that of AOWS (Berman et
// al., CVPR 2020), in choice.h; latency is not only pairwise here, but whatever the network makes
// it (width_costs.h).
//
// Widths: C_l^0 plus multiples of the stride, up to what a layer alone could reach with all others
// at their cheapest. Memory has no multiplier, as peaks do not add up: every network is checked,
// and the bound knows only that weights take four bytes a parameter.

#include <optional>

#include "scaling/methods/width_scaling.h"

namespace hac {

// G_l(to), 0 at `from`.
double width_gain(const ImportanceLaw& law, std::int64_t from, std::int64_t to);
double total_gain(std::span<const ImportanceLaw> laws, const std::vector<std::int64_t>& from,
                  const std::vector<std::int64_t>& to);

struct WidthOptimum {
  std::vector<std::int64_t> widths;
  double gain = 0;
  double bound = 0;     // of the gain of any widths within the limits
  bool proven = false;  // no others gain more

  // Of a plan with this gain; of one that overshoots its budget the gap may be negative.
  OptimalityGap gap_of(double plan) const {
    return {.gain = plan, .optimum = gain, .bound = bound, .proven = proven};
  }
};

// In the order of widths(baseline), which must be within the budget. Widths of `plan` are choices
// too, so that the bound holds for it; no less gain than any policy that keeps the limits has by
// any criterion. Null: more choices than can be solved (hint: a larger stride), or groups
// that width_costs.h cannot tell apart. Throws ConfigError
// as widen() does.
std::optional<WidthOptimum> width_optimum(const Architecture& baseline,
                                          std::span<const ImportanceLaw> laws,
                                          const LatencyModel& model, const Budget& budget,
                                          const WideningOptions& options,
                                          const std::vector<std::int64_t>& plan = {});

// Tells a plan its gap; where it is infeasible or the optimum is too large to find, it has none.
ScalingPlan with_gap(ScalingPlan plan, const Architecture& baseline,
                     std::span<const ImportanceLaw> laws, const LatencyModel& model);

}  // namespace hac
