#include "scaling/measure/utilization.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/core/error.h"
#include "models/arch/counters.h"

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

ConvImplementation implementation(const InferenceSession& net, const InferenceSession::Step& step) {
  const OpSpec& spec = net.graph().ops[step.op].spec;
  const auto* conv = std::get_if<Conv2dSpec>(&spec);
  if (!conv) return {"", spec.cost().macs};
  return conv2d_kernels.run(&Conv2dKernels::implementation, net.device(), *conv);
}

std::int64_t multiplications(const InferenceSession& net) {
  std::int64_t sum = 0;
  for (const InferenceSession::Step& step : net.steps())
    sum += implementation(net, step).multiplications;
  return sum;
}

std::vector<SweepPoint> utilization_sweep(const Architecture& baseline,
                                          const SweepOptions& options) {
  struct Dimension {
    const char* name;
    double exponent;  // factor = s^exponent
    const char* method;
  };
  const Dimension dimensions[] = {
      {"width", 0.5, "uniform-width"}, {"depth", 1, "depth"}, {"resolution", 0.5, "resolution"}};
  std::vector<SweepPoint> points;
  for (const Dimension& dimension : dimensions) {
    const Method& method = method_of(dimension.method);
    const Architecture* last = nullptr;
    for (const double s : options.growth) {
      if (!(s >= 1 && s <= 1e4)) {
        throw ConfigError(fmt::format("utilization sweep 'growth': expected 1 to 1e4, got {}", s));
      }
      const double factor = std::pow(s, dimension.exponent);
      Architecture arch =
          factor == 1 ? baseline : method.scale(baseline, {&factor, 1}, options.rounding);
      if (last != nullptr && arch == *last) continue;
      const std::int64_t macs = count(arch).macs;
      points.push_back({dimension.name, factor, std::move(arch), macs});
      last = &points.back().arch;
    }
  }
  return points;
}

}  // namespace hac
