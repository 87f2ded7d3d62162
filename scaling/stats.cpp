#include "scaling/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/core/error.h"

namespace hac {
namespace {

// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
constexpr double kNormal = 1.96;  // of the normal distribution
constexpr std::array<double, 30> kStudent = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double r_squared(std::span<const double> measured, std::span<const double> residuals, double flat) {
  const double middle = mean(measured);
  double residual_squares = 0, total_squares = 0;
  for (const double r : residuals) residual_squares += r * r;
  for (const double m : measured) total_squares += (m - middle) * (m - middle);
  return total_squares > 0 ? 1 - residual_squares / total_squares : flat;
}

LatencyStats summarize(std::span<const double> values) {
  if (values.empty()) throw ConfigError("latency: expected at least one run, got none");
  const std::vector<double> v(values.begin(), values.end());
  LatencyStats s;
  s.runs = static_cast<int>(v.size());
  s.mean = mean(v);
  s.median = median(v);
  s.p95 = quantile(v, 0.95);
  s.min = *std::min_element(v.begin(), v.end());
  s.p10 = quantile(v, 0.1);
  s.p90 = quantile(v, 0.9);
  s.spread = (s.p90 - s.p10) / s.median;
  const std::size_t third = std::max<std::size_t>(1, v.size() / 3);
  s.drift = median({v.end() - third, v.end()}) / median({v.begin(), v.begin() + third}) - 1;
  return s;
}

double median_error(const LatencyStats& ms) {
  if (ms.runs < 1) return unknown;
  constexpr double kSigmas = 2.5631031310892;  // from the 10th to the 90th percentile
  const double error = std::sqrt(std::numbers::pi / 2) * ms.spread / kSigmas;
  return kNormal * error / std::sqrt(static_cast<double>(ms.runs));
}

Interval interval95(std::span<const double> values) {
  if (values.empty()) throw ConfigError("95 % interval: expected at least one value, got none");
  const auto n = static_cast<double>(values.size());
  const double middle = mean(values);
  constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  if (values.size() == 1) return {middle, -kUnbounded, kUnbounded};
  double squares = 0;
  for (const double v : values) squares += (v - middle) * (v - middle);
  const std::size_t freedom = values.size() - 1;
  const double t = freedom <= kStudent.size() ? kStudent[freedom - 1] : kNormal;
  const double half = t * std::sqrt(squares / (n - 1) / n);
  return {middle, middle - half, middle + half};
}

Interval interval95(double fraction, std::int64_t n) {
  if (n < 1) throw ConfigError(fmt::format("95 % interval: expected images, got {}", n));
  if (!(fraction >= 0 && fraction <= 1)) {
    throw ConfigError(fmt::format("95 % interval: expected a fraction, got {}", fraction));
  }
  const double z2_n = kNormal * kNormal / static_cast<double>(n);
  const double middle = (fraction + z2_n / 2) / (1 + z2_n);
  const double half = std::sqrt(z2_n * (fraction * (1 - fraction) + z2_n / 4)) / (1 + z2_n);
  // Rounding must not move an end across the fraction.
  return {fraction, std::clamp(middle - half, 0.0, fraction),
          std::clamp(middle + half, fraction, 1.0)};
}

}  // namespace hac
