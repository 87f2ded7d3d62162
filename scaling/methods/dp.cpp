// The optimum of what HACScale approaches: same laws, same latency model, same limits (optimum.h).

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "scaling/methods/method.h"
#include "scaling/methods/optimum.h"

namespace hac {

namespace {

// Writes the widths of the optimum, and which limits a further step of each group would break.
void widen_to(const WidthOptimum& optimum, const WideningProblem& problem, const Budget& budget,
              const WideningOptions& options, WideningResult& r) {
  for (std::size_t l = 0; l < r.layers.size(); ++l) r.layers[l].after = optimum.widths[l];
  r.scaled = problem.cost(optimum.widths);
  unsigned stopped = 0;
  for (const std::vector<int>& group : problem.groups) {
    std::vector<std::int64_t> more = optimum.widths;
    bool capped = false;
    for (const int l : group) capped |= (more[l] += options.stride) > options.width_cap;
    const unsigned broken = capped ? 0 : budget.broken_by(problem.cost(more));
    stopped |= broken;
    const bool widened = more[group[0]] - options.stride > problem.widths[group[0]];
    for (const int l : group) {
      r.layers[l].reason = capped    ? "stopped by the width cap"
                           : widened ? "gains the most for what it costs"
                                     : "others gain more for what they cost";
    }
  }
  r.stop = stopped == 0 ? StopReason::width_cap : stopped_by(stopped);
}

std::string note_of(const OptimalityGap& g) {
  if (g.proven) return fmt::format("gain {:.4g}, which is the optimum", g.gain);
  return fmt::format(
      "gain {:.4g}; no network within the budget has more than {:.4g}, {:.2f} % away", g.gain,
      g.bound, 100 * g.gap());
}

ScaledNetwork optimum_of(const ScalingTask& task) {
  const Architecture grown = grown_of(task);
  const Budget budget = widening_budget(task);
  const WideningOptions& options = task.widening;
  const WideningProblem problem = widening_problem(grown, task.laws, task.model, options);
  validate(problem, budget, options);
  WideningResult r = unwidened(problem, budget);
  std::optional<OptimalityGap> gap;
  if (r.stop != StopReason::infeasible) {
    const std::optional<WidthOptimum> optimum =
        width_optimum(grown, task.laws, task.model, budget, options);
    if (!optimum) {
      throw ConfigError(fmt::format(
          "dp: expected fewer widths to choose from within this budget than at stride {} (hint: a "
          "larger stride, or a tighter limit on the parameters)",
          options.stride));
    }
    widen_to(*optimum, problem, budget, options, r);
    gap = optimum->gap_of(optimum->gain);
  }
  ScalingPlan plan = plan_of(grown, task.laws, task.model, budget, options, std::move(r));
  plan.optimality = gap;
  ScaledNetwork n = network_of(std::move(plan), grown);
  if (gap) n.note = note_of(*gap);
  return n;
}

}  // namespace

Method dp() {
  return {.key = "dp",
          .name = "optimum (dp)",
          .help = "the widths that gain the most within the budget, by the same laws",
          .needs_laws = true,
          .decide = optimum_of};
}

}  // namespace hac
