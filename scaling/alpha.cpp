#include "scaling/alpha.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "kernels/error.h"
#include "models/counters.h"
#include "scaling/compound.h"

namespace hac {

namespace {

constexpr double kLargestGrowth = 64;

std::int64_t resolution_multiple(const Architecture& baseline, const AlphaOptions& options) {
  if (options.resolution_multiple > 0) return options.resolution_multiple;
  return baseline.resolution <= 64 ? 4 : 32;
}

// The w >= 1 whose rounded network has MACs closest to the target. MACs are a staircase in w, so
// bisection ends at a jump: the network below it or the one above it is the closest.
double solve_width(const Architecture& at_resolution, double target, const AlphaOptions& options) {
  const auto macs = [&](double w) {
    const Architecture a =
        scale_width(at_resolution, w, options.width_multiple, options.scale_stem);
    return static_cast<double>(count(a).macs);
  };
  double low = 1, high = 2;
  if (macs(low) >= target) return 1;
  while (macs(high) < target) {
    low = high;
    high *= 2;
  }
  while (high - low > 1e-9 * high) {
    const double middle = 0.5 * (low + high);
    (macs(middle) < target ? low : high) = middle;
  }
  return target - macs(low) < macs(high) - target ? low : high;
}

AlphaCandidate candidate(const Architecture& baseline, std::int64_t resolution, double s,
                         const LatencyModel& model, const AlphaOptions& options) {
  AlphaCandidate c{.resolution = resolution};
  const Architecture unwidened = with_resolution(baseline, resolution);
  c.unwidened_latency_ms = model.predict(unwidened);
  const double r = static_cast<double>(resolution) / static_cast<double>(baseline.resolution);
  c.alpha = s > 1 ? 2 * std::log(r) / std::log(s) : 0;
  c.w = solve_width(unwidened, s * static_cast<double>(count(baseline).macs), options);
  // w = 1 keeps the baseline's own widths, also those that are no multiple of the rounding.
  c.arch = c.w == 1 ? unwidened
                    : scale_width(unwidened, c.w, options.width_multiple, options.scale_stem);
  const Counters counters = count(c.arch);
  c.macs = counters.macs;
  c.params = counters.params;
  c.latency_ms = model.predict(c.arch);
  return c;
}

// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
constexpr double kNormal = 1.96;  // of the normal distribution
constexpr std::array<double, 30> kStudent = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

// Adds the parabola through the three best points where they are concave around their vertex.
void add_parabola(AlphaChoice& choice, std::span<const ScoredAlpha> points,
                  const std::vector<std::size_t>& by_accuracy) {
  if (points.size() < 3) return;
  std::array<const ScoredAlpha*, 3> p{};
  for (std::size_t i = 0; i < 3; ++i) p[i] = &points[by_accuracy[i]];
  std::sort(p.begin(), p.end(), [](auto* a, auto* b) { return a->alpha < b->alpha; });
  if (p[0]->alpha == p[1]->alpha || p[1]->alpha == p[2]->alpha) return;
  // Newton's divided differences.
  const double first = (p[1]->accuracy.mean - p[0]->accuracy.mean) / (p[1]->alpha - p[0]->alpha);
  const double next = (p[2]->accuracy.mean - p[1]->accuracy.mean) / (p[2]->alpha - p[1]->alpha);
  const double curvature = (next - first) / (p[2]->alpha - p[0]->alpha);
  if (!(curvature < 0)) return;
  const double peak = 0.5 * (p[0]->alpha + p[1]->alpha) - first / (2 * curvature);
  if (peak < p[0]->alpha || peak > p[2]->alpha) return;
  choice.peak = peak;
  choice.parabola = {
      p[0]->accuracy.mean - first * p[0]->alpha + curvature * p[0]->alpha * p[1]->alpha,
      first - curvature * (p[0]->alpha + p[1]->alpha), curvature};
}

}  // namespace

std::vector<std::int64_t> alpha_resolutions(const Architecture& baseline, double s,
                                            const AlphaOptions& options) {
  const std::int64_t q = resolution_multiple(baseline, options);
  // Rounding must neither shrink the input of a baseline that is itself no multiple of q nor take
  // more than all of the growth (alpha <= 1).
  const auto native = static_cast<double>(baseline.resolution);
  const std::int64_t largest = std::max(
      baseline.resolution, static_cast<std::int64_t>(hacscale_factors(s, 1).r * native) / q * q);
  std::set<std::int64_t> resolutions;
  for (const double alpha : options.grid) {
    const std::int64_t rounded = round_to(hacscale_factors(s, alpha).r * native, q);
    resolutions.insert(std::clamp(rounded, baseline.resolution, largest));
  }
  return {resolutions.begin(), resolutions.end()};
}

AlphaCandidates alpha_candidates(const Architecture& baseline, double s, const LatencyModel& model,
                                 const AlphaOptions& options) {
  const double baseline_ms = model.predict(baseline);
  if (baseline_ms > options.latency_ms) {
    throw ConfigError(fmt::format(
        "alpha search: expected a latency limit of at least the baseline's predicted {:.4g} ms, "
        "got {:.4g} ms",
        baseline_ms, options.latency_ms));
  }
  const std::vector<std::int64_t> resolutions = alpha_resolutions(baseline, s, options);
  AlphaCandidates result;
  for (const std::int64_t resolution : resolutions) {
    AlphaCandidate c = candidate(baseline, resolution, s, model, options);
    if (c.unwidened_latency_ms <= options.latency_ms) result.candidates.push_back(std::move(c));
  }
  const std::size_t dropped = resolutions.size() - result.candidates.size();
  if (!result.candidates.empty()) {
    if (dropped > 0) {
      result.note =
          fmt::format("{} of {} resolutions left out: unwidened they already exceed {:.4g} ms",
                      dropped, resolutions.size(), options.latency_ms);
    }
    return result;
  }
  const std::int64_t q = resolution_multiple(baseline, options);
  std::int64_t resolution = baseline.resolution;
  for (std::int64_t larger = round_up(resolution + 1, q); larger < resolutions[0]; larger += q) {
    if (model.predict(with_resolution(baseline, larger)) <= options.latency_ms) resolution = larger;
  }
  result.candidates.push_back(candidate(baseline, resolution, s, model, options));
  result.note = fmt::format(
      "every resolution of the grid exceeds {:.4g} ms unwidened; {} is the largest that does not",
      options.latency_ms, resolution);
  return result;
}

Architecture uniform_compound(const Architecture& baseline, double s, double alpha,
                              const AlphaOptions& options) {
  const CompoundFactors f = hacscale_factors(s, alpha);
  if (s == 1) return baseline;
  return scale_width(scale_resolution(baseline, f.r, resolution_multiple(baseline, options)), f.w,
                     options.width_multiple, options.scale_stem);
}

double largest_growth(const Architecture& baseline, double alpha, const LatencyModel& model,
                      const AlphaOptions& options) {
  if (!std::isfinite(options.latency_ms)) {
    throw ConfigError("largest growth: expected a latency limit, got none");
  }
  const auto fits = [&](double s) {
    return model.predict(uniform_compound(baseline, s, alpha, options)) <= options.latency_ms;
  };
  if (!fits(1)) return 1;
  if (fits(kLargestGrowth)) return kLargestGrowth;
  double low = 1, high = kLargestGrowth;
  while (high - low > 1e-3 * low) {
    const double middle = std::sqrt(low * high);
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

Interval interval95(std::span<const double> values) {
  if (values.empty()) throw ConfigError("95 % interval: expected at least one value, got none");
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  if (values.size() == 1) return {mean, -kUnbounded, kUnbounded};
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const std::size_t freedom = values.size() - 1;
  const double t = freedom <= kStudent.size() ? kStudent[freedom - 1] : kNormal;
  const double half = t * std::sqrt(squares / (n - 1) / n);
  return {mean, mean - half, mean + half};
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

AlphaChoice choose_alpha(std::span<const ScoredAlpha> points) {
  if (points.empty()) throw ConfigError("alpha search: expected scored points, got none");
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].accuracy.mean > points[b].accuracy.mean;
  });
  AlphaChoice choice{.index = order[0]};
  const Interval best = points[order[0]].accuracy;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Interval& a = points[i].accuracy;
    if (i != order[0] && !(a.high >= best.low)) continue;
    choice.tied.push_back(i);
    if (points[i].latency_ms < points[choice.index].latency_ms) choice.index = i;
  }
  add_parabola(choice, points, order);
  return choice;
}

}  // namespace hac
