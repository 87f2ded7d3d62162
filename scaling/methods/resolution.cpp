#include "scaling/methods/resolution.h"

namespace hac {

ScaledNetwork scale_resolution_to(const Architecture& baseline, const LatencyModel& model,
                                  const Budget& budget, std::int64_t multiple) {
  const std::int64_t r0 = baseline.resolution;
  const auto member = [&](std::int64_t i) -> FamilyMember {
    if (i == 0) return {1, baseline};
    const std::int64_t resolution = r0 / multiple * multiple + i * multiple;
    return {static_cast<double>(resolution) / static_cast<double>(r0),
            with_resolution(baseline, resolution)};
  };
  return largest_within("resolution", member, model, budget);
}

}  // namespace hac
