// EfficientNet's constants searched anew for this baseline, by the small grid of Tan and Le (2019):
// of the networks at phi = 1, whose operations double, the best one after short trainings. It is
// the most accurate one, or, in latency-aware compound scaling (LACS; EfficientNet-X, Li et al.
// 2021), that of the largest accuracy * (latency / target)^w with w = -0.07 as in MnasNet.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/methods/compound_factors.h"
#include "scaling/methods/method.h"

namespace hac {

namespace {

constexpr double kReward = -0.07;

struct GridPoint {
  TanConstants constants;
  Architecture arch;
};

std::vector<double> given(const TanConstants& c) { return {c.alpha, c.beta, c.gamma}; }

// alpha beta^2 gamma^2 = 2; each network once.
std::vector<GridPoint> grid(const ScalingTask& task) {
  std::vector<GridPoint> points;
  for (const double alpha : {1.0, 1.2, 1.4, 1.7, 2.0}) {
    for (const double beta : {1.0, 1.1, 1.2, 1.3, std::sqrt(2.0)}) {
      const double gamma_squared = 2 / (alpha * beta * beta);
      if (gamma_squared < 1 - 1e-9) continue;
      const TanConstants c{alpha, beta, std::max(1.0, std::sqrt(gamma_squared))};
      std::vector<double> coefficients = given(c);
      coefficients.push_back(2);
      Architecture arch =
          method_of("efficientnet").scale(task.baseline, coefficients, task.rounding);
      const bool known = std::any_of(points.begin(), points.end(),
                                     [&](const GridPoint& p) { return p.arch == arch; });
      if (!known && arch != task.baseline) points.push_back({c, std::move(arch)});
    }
  }
  return points;
}

ScaledNetwork search(const ScalingTask& task, double exponent) {
  const std::vector<GridPoint> points = grid(task);
  const GridPoint* best = nullptr;
  double most = 0;
  for (const GridPoint& p : points) {
    const double ms = task.model.predict(p.arch);
    const double reward =
        task.proxy->top1(p.arch) * std::pow(ms / task.budget.latency_limit(), exponent);
    if (best == nullptr || reward > most) best = &p, most = reward;
  }
  ScalingTask found = task;
  found.given = given(best->constants);
  ScaledNetwork n = method_of("efficientnet").to_budget(found);
  n.note = fmt::format("alpha {:.2f}, beta {:.2f}, gamma {:.2f} of {} networks at phi = 1",
                       best->constants.alpha, best->constants.beta, best->constants.gamma,
                       points.size());
  return n;
}

}  // namespace

Method efficientnet_grid() {
  return {.key = "efficientnet-grid",
          .name = "EfficientNet grid",
          .help = "efficientnet with its constants searched for this baseline",
          .needs_proxy = true,
          .decide = [](const ScalingTask& task) { return search(task, 0); }};
}

Method lacs() {
  return {.key = "lacs",
          .name = "LACS",
          .help = "the same, latency counted in the search (EfficientNet-X, 2021)",
          .needs_proxy = true,
          .needs_latency = true,
          .decide = [](const ScalingTask& task) { return search(task, kReward); }};
}

}  // namespace hac
