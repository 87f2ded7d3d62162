// Depth: more units (residual blocks, or convolutions) of stride 1 at the ends of the stages,
// N' = round(d * N) by largest remainder. d grows by one unit.

#include <numeric>

#include "scaling/methods/method.h"

namespace hac {

Method depth() {
  return {.key = "depth",
          .name = "depth",
          .help = "more blocks or convolutions at the ends of the stages",
          .coefficients = {{"d", "factor of their number"}},
          .scale = [](const Architecture& baseline, std::span<const double> c,
                      const Rounding&) { return scale_depth(baseline, c[0]); },
          .step =
              [](const ScalingTask& task, std::int64_t i) {
                const std::vector<std::int64_t> units = blocks(task.baseline);
                const auto n = std::accumulate(units.begin(), units.end(), std::int64_t{0});
                return static_cast<double>(n + i) / static_cast<double>(n);
              }};
}

}  // namespace hac
