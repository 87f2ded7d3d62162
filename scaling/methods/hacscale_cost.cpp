// HACScale by importance per predicted millisecond, on the edges of the staircase alone.

#include "scaling/methods/edge_widening.h"
#include "scaling/methods/method.h"
#include "scaling/methods/optimum.h"

namespace hac {

Method hacscale_cost() {
  return {.key = "hacscale-cost",
          .name = "hacscale (cost)",
          .help = "importance gained per millisecond, only to where latency rises again",
          .needs_laws = true,
          .decide = [](const ScalingTask& task) {
            const Architecture grown = grown_of(task);
            ScalingPlan plan =
                decide_by_edges(grown, task.laws, task.model, widening_budget(task), task.widening);
            return network_of(with_gap(std::move(plan), grown, task.laws, task.model), grown);
          }};
}

}  // namespace hac
