#include "scaling/methods/depth.h"

#include <numeric>

namespace hac {

ScaledNetwork scale_depth_to(const Architecture& baseline, const LatencyModel& model,
                             const Budget& budget) {
  const std::vector<std::int64_t> units = blocks(baseline);
  const auto total = std::accumulate(units.begin(), units.end(), std::int64_t{0});
  const auto member = [&](std::int64_t i) -> FamilyMember {
    if (i == 0) return {1, baseline};
    const double d = static_cast<double>(total + i) / static_cast<double>(total);
    return {d, scale_depth(baseline, d)};
  };
  return largest_within("depth", member, model, budget);
}

}  // namespace hac
