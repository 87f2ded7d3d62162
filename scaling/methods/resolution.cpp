// Resolution (Szegedy et al. 2017): a larger input, the same layers. Parameters do not change as
// long as the head pools globally or flattens a 1x1 map, so it takes a latency limit. Operations
// are a staircase in R: multiples of the total stride waste nothing.

#include "scaling/methods/method.h"

namespace hac {

Method resolution() {
  return {.key = "resolution",
          .name = "resolution",
          .help = "a larger input, the same layers",
          .coefficients = {{"r", "factor of the input's height and width"}},
          .scale =
              [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
                return scale_resolution(baseline, c[0], q.resolution_step(baseline));
              },
          .step =
              [](const ScalingTask& task, std::int64_t i) {
                const std::int64_t r0 = task.baseline.resolution;
                const std::int64_t q = task.rounding.resolution_step(task.baseline);
                return static_cast<double>((r0 / q + i) * q) / static_cast<double>(r0);
              }};
}

}  // namespace hac
