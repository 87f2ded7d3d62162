#include "scaling/experiment/alpha.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/methods/compound_factors.h"

namespace hac {

namespace {

// The w >= 1 whose rounded network has MACs closest to the target. MACs are a staircase in w, so
// bisection ends at a jump: the network below it or the one above it is the closest.
double solve_width(const Architecture& at_resolution, double target, const AlphaOptions& options) {
  const auto macs = [&](double w) {
    const Architecture a =
        scale_width(at_resolution, w, options.rounding.width_multiple, options.rounding.scale_stem);
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
  AlphaCandidate c;
  const Architecture unwidened = with_resolution(baseline, resolution);
  c.unwidened_latency_ms = model.predict(unwidened);
  const double r = static_cast<double>(resolution) / static_cast<double>(baseline.resolution);
  c.alpha = s > 1 ? 2 * std::log(r) / std::log(s) : 0;
  c.w = solve_width(unwidened, s * static_cast<double>(count(baseline).macs), options);
  // w = 1 keeps the baseline's own widths, also those that are no multiple of the rounding.
  c.arch = c.w == 1 ? unwidened
                    : scale_width(unwidened, c.w, options.rounding.width_multiple,
                                  options.rounding.scale_stem);
  c.latency_ms = model.predict(c.arch);
  return c;
}

// Adds the parabola through the three best points where they are concave around their vertex.
void add_parabola(AlphaChoice& choice, std::span<const AlphaPoint> points,
                  const std::vector<std::size_t>& by_accuracy) {
  if (points.size() < 3) return;
  std::array<const AlphaPoint*, 3> p{};
  for (std::size_t i = 0; i < 3; ++i) p[i] = &points[by_accuracy[i]];
  std::sort(p.begin(), p.end(), [](auto* a, auto* b) { return a->alpha < b->alpha; });
  if (p[0]->alpha == p[1]->alpha || p[1]->alpha == p[2]->alpha) return;
  // Newton's divided differences.
  const double first = (p[1]->top1.mean - p[0]->top1.mean) / (p[1]->alpha - p[0]->alpha);
  const double next = (p[2]->top1.mean - p[1]->top1.mean) / (p[2]->alpha - p[1]->alpha);
  const double curvature = (next - first) / (p[2]->alpha - p[0]->alpha);
  if (!(curvature < 0)) return;
  const double peak = 0.5 * (p[0]->alpha + p[1]->alpha) - first / (2 * curvature);
  if (peak < p[0]->alpha || peak > p[2]->alpha) return;
  choice.peak = peak;
  choice.parabola = {p[0]->top1.mean - first * p[0]->alpha + curvature * p[0]->alpha * p[1]->alpha,
                     first - curvature * (p[0]->alpha + p[1]->alpha), curvature};
}

}  // namespace

std::vector<std::int64_t> alpha_resolutions(const Architecture& baseline, double s,
                                            const AlphaOptions& options) {
  const std::int64_t q = options.rounding.resolution_step(baseline);
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
  const std::int64_t q = options.rounding.resolution_step(baseline);
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

AlphaChoice choose_alpha(std::span<const AlphaPoint> points) {
  if (points.empty()) throw ConfigError("alpha search: expected scored points, got none");
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return points[a].top1.mean > points[b].top1.mean;
  });
  AlphaChoice choice{.index = order[0]};
  const Accuracy& best = points[order[0]].top1;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Accuracy& a = points[i].top1;
    if (i != order[0] && !(a.high >= best.low)) continue;
    choice.tied.push_back(i);
    if (points[i].ms < points[choice.index].ms) choice.index = i;
  }
  add_parabola(choice, points, order);
  return choice;
}

}  // namespace hac
