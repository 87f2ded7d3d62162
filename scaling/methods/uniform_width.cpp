// Uniform width (Zagoruyko and Komodakis 2016): C_l' = round_q(w * C_l) for every convolution. w
// grows in steps that widen the widest layer by one multiple.

#include <algorithm>

#include "scaling/methods/method.h"

namespace hac {

Method uniform_width() {
  return {.key = "uniform-width",
          .name = "uniform width",
          .help = "every convolution wider by one factor",
          .coefficients = {{"w", "factor of every width"}},
          .scale =
              [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
                return scale_width(baseline, c[0], q.width_multiple, q.scale_stem);
              },
          .step =
              [](const ScalingTask& task, std::int64_t i) {
                const std::vector<std::int64_t> all = widths(task.baseline);
                const auto widest = static_cast<double>(*std::max_element(all.begin(), all.end()));
                return 1 + static_cast<double>(i * task.rounding.width_multiple) / widest;
              }};
}

}  // namespace hac
