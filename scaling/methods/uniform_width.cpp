#include "scaling/methods/uniform_width.h"

#include <algorithm>

namespace hac {

ScaledNetwork scale_uniform_width(const Architecture& baseline, const LatencyModel& model,
                                  const Budget& budget, const UniformWidthOptions& options) {
  const std::vector<std::int64_t> all = widths(baseline);
  const auto widest = static_cast<double>(*std::max_element(all.begin(), all.end()));
  const auto member = [&](std::int64_t i) -> FamilyMember {
    const double w = 1 + static_cast<double>(i * options.width_multiple) / widest;
    if (i == 0) return {1, baseline};
    return {w, scale_width(baseline, w, options.width_multiple, options.scale_stem)};
  };
  return largest_within("uniform-width", member, model, budget);
}

}  // namespace hac
