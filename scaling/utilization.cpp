#include "scaling/utilization.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <utility>

#include "kernels/error.h"
#include "models/counters.h"

namespace hac {

double utilization_gmacs(std::int64_t macs, double latency_ms) {
  if (!(latency_ms > 0)) {
    throw ConfigError(
        fmt::format("utilization: expected a latency above 0 ms, got {}", latency_ms));
  }
  return static_cast<double>(macs) / (latency_ms * 1e6);
}

double peak_fraction(double gmacs_per_s, double peak_gmacs_per_s) {
  if (!(peak_gmacs_per_s > 0)) {
    throw ConfigError(
        fmt::format("utilization: expected a peak above 0 GMAC/s, got {}", peak_gmacs_per_s));
  }
  return gmacs_per_s / peak_gmacs_per_s;
}

std::vector<SweepPoint> utilization_sweep(const Architecture& baseline,
                                          const SweepOptions& options) {
  using Scale = std::function<Architecture(double)>;
  struct Dimension {
    const char* name;
    double exponent;  // factor = s^exponent
    Scale scale;
  };
  const Dimension dimensions[] = {
      {"width", 0.5, [&](double w) { return scale_width(baseline, w, options.width_multiple); }},
      {"depth", 1, [&](double d) { return scale_depth(baseline, d); }},
      {"resolution", 0.5,
       [&](double r) { return scale_resolution(baseline, r, options.resolution_multiple); }}};
  std::vector<SweepPoint> points;
  for (const Dimension& dimension : dimensions) {
    const Architecture* last = nullptr;
    for (const double s : options.growth) {
      if (!(s >= 1 && s <= 1e4)) {
        throw ConfigError(fmt::format("utilization sweep 'growth': expected 1 to 1e4, got {}", s));
      }
      const double factor = std::pow(s, dimension.exponent);
      Architecture arch = factor == 1 ? baseline : dimension.scale(factor);
      if (last != nullptr && arch == *last) continue;
      const std::int64_t macs = count(arch).macs;
      points.push_back({dimension.name, factor, std::move(arch), macs});
      last = &points.back().arch;
    }
  }
  return points;
}

}  // namespace hac
