#include "scaling/latency/staircase.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"
#include "kernels/core/types.h"
#include "scaling/stats.h"

namespace hac {
namespace {

constexpr std::size_t candidates = std::size(step_candidates);

// n ln R of each candidate and, last, of a time that does not depend on the width.
using Scores = std::array<double, candidates + 1>;

// Of three repetitions one may agree by chance: no point is taken for surer than the middle one,
// nor than 0.2 %.
std::vector<double> weights_of(std::span<const WidthTime> points) {
  std::vector<double> relative;
  for (const WidthTime& p : points) relative.push_back((p.high_ms - p.low_ms) / 2 / p.ms);
  const double least = std::max(median(relative), 0.002);
  std::vector<double> weights;
  for (std::size_t i = 0; i < points.size(); ++i) {
    weights.push_back(1 / (points[i].ms * std::max(relative[i], least)));
  }
  return weights;
}

// The weighted squares that a polynomial of this degree in the rounded width leaves. Never less
// than what errors too small to be seen would: points without noise are no infinite evidence.
double squares_left(std::span<const WidthTime> points, std::int64_t step, int degree) {
  const std::vector<double> weights = weights_of(points);
  const auto n = static_cast<Eigen::Index>(points.size());
  Eigen::MatrixXd a(n, degree + 1);
  Eigen::VectorXd y(n);
  const auto largest = static_cast<double>(round_up(points.back().width, step));
  for (Eigen::Index i = 0; i < n; ++i) {
    const WidthTime& p = points[i];
    const double x = static_cast<double>(round_up(p.width, step)) / largest;
    for (int d = 0; d <= degree; ++d) a(i, d) = weights[i] * std::pow(x, d);
    y[i] = weights[i] * p.ms;
  }
  const Eigen::VectorXd fit = a * a.colPivHouseholderQr().solve(y);
  return (y - fit).squaredNorm() + 0.01 * static_cast<double>(n);
}

Scores scores_of(std::span<const WidthTime> points) {
  Scores scores{};
  const auto n = static_cast<double>(points.size());
  for (std::size_t c = 0; c < candidates; ++c) {
    scores[c] = n * std::log(squares_left(points, step_candidates[c], 2));
  }
  scores.back() = n * std::log(squares_left(points, 1, 0));
  return scores;
}

// Without the layer and its points.
LayerStaircase judge(const Scores& scores) {
  std::array<std::size_t, candidates> order{};
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t c) { return scores[c]; });
  const double best = scores[order[0]], evidence = scores[order[1]] - best;
  return {.step = step_candidates[order[0]],
          .runner_up = step_candidates[order[1]],
          .evidence = evidence,
          .clear = evidence >= clear_evidence && scores.back() - best >= clear_evidence};
}

}  // namespace

LayerStaircase find_staircase(const std::string& layer, std::vector<WidthTime> points) {
  std::ranges::sort(points, {}, &WidthTime::width);
  const auto twice = std::ranges::adjacent_find(points, {}, &WidthTime::width);
  if (points.size() < 8 || twice != points.end()) {
    throw ConfigError(
        fmt::format("staircase of '{}': expected times at 8 or more different "
                    "widths, got {}{}",
                    layer, points.size(),
                    twice == points.end() ? "" : fmt::format(", of them {} twice", twice->width)));
  }
  LayerStaircase found = judge(scores_of(points));
  found.layer = layer;
  found.points = std::move(points);
  return found;
}

Staircase find_staircase(std::vector<LayerStaircase> layers) {
  if (layers.empty()) return {};
  Scores sum{};
  for (const LayerStaircase& layer : layers) {
    const Scores scores = scores_of(layer.points);
    std::ranges::transform(sum, scores, sum.begin(), std::plus());
  }
  const LayerStaircase v = judge(sum);
  return {v.clear ? v.step : 0, v.step, v.runner_up, v.evidence, std::move(layers)};
}

std::vector<std::int64_t> staircase_widths(std::int64_t width) {
  const std::int64_t base = round_up(width, 16);
  std::vector<std::int64_t> widths;
  for (const std::int64_t above : {0,  1,  4,  8,  9,  12, 16, 17, 20, 24, 28,  32,
                                   33, 40, 48, 56, 64, 65, 72, 80, 96, 97, 112, 128}) {
    widths.push_back(base + above);
  }
  return widths;
}

}  // namespace hac
