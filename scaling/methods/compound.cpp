// The uniform network of the paper's Eq. 3: r = sqrt(s)^alpha and w = sqrt(s)^(1 - alpha), both
// rounded.

#include "scaling/methods/compound_factors.h"

#include "scaling/methods/method.h"

namespace hac {

namespace {

constexpr double kLargestGrowth = 64;

Architecture scale(const Architecture& baseline, std::span<const double> c, const Rounding& q) {
  const CompoundFactors f = hacscale_factors(c[1], c[0]);
  return scale_width(scale_resolution(baseline, f.r, q.resolution_step(baseline)), f.w,
                     q.width_multiple, q.scale_stem);
}

}  // namespace

Method compound() {
  return {.key = "compound",
          .name = "compound",
          .help = "width and resolution together, alpha of the growth by resolution (Eq. 3)",
          .coefficients = {{"alpha", "0: all width, 1: all resolution", 0.5},
                           {"s", "growth of the operations"}},
          .scale = scale,
          .to_budget = [](const ScalingTask& task) {
            return largest_factor(method_of("compound"), task, kLargestGrowth);
          }};
}

}  // namespace hac
