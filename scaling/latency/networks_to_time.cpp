#include "scaling/latency/networks_to_time.h"

#include <algorithm>

#include "kernels/core/types.h"
#include "scaling/importance/sampling.h"

namespace hac {

std::vector<Architecture> networks_to_time(const Architecture& baseline,
                                           const NetworksToTime& options) {
  check(fields_of(options), "networks to time");
  std::vector<std::int64_t> sizes = options.resolutions;
  if (!std::ranges::count(sizes, baseline.resolution)) {
    sizes.insert(sizes.begin(), baseline.resolution);
  }
  const auto per_size = std::max<std::int64_t>(
      5, ceil_div(options.networks, static_cast<std::int64_t>(sizes.size())));
  std::vector<Architecture> nets;
  const auto add = [&](const Architecture& arch) {
    validate(arch);
    if (!std::ranges::count(nets, arch)) nets.push_back(arch);
  };
  add(baseline);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const Architecture base = with_resolution(baseline, sizes[i]);
    add(base);
    const SamplingOptions sampling{.kind = SamplingKind::latin_hypercube,
                                   .samples = static_cast<int>(per_size),
                                   .low = options.low,
                                   .high = options.high,
                                   .seed = i};
    for (const auto& w : sample_widths(widths(base), sampling)) add(with_widths(base, w));
  }
  constexpr std::int64_t small = 256;
  for (const double r : {1.5, 2.0, 3.0, 4.0, 6.0, 8.0}) {
    if (!options.ladder || (r > 4 && r * static_cast<double>(baseline.resolution) > small)) break;
    add(scale_resolution(baseline, r, options.resolution_multiple));
  }
  for (const double d : options.depths) add(scale_depth(baseline, d));
  return nets;
}

}  // namespace hac
