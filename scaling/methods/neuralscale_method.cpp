// NeuralScale as a method: the published fit that is nearest, or one of the network's own pruning
// where a task can train. rho, which names the size, grows by 1 % a step from a quarter: at equal
// parameters these networks take longer than the baseline, so rho may end below 1.

#include <fmt/format.h>

#include <cmath>

#include "kernels/core/error.h"
#include "scaling/methods/method.h"
#include "scaling/methods/neuralscale.h"

namespace hac {
namespace {

std::int64_t descent_of(double value) {
  if (!(value >= 0 && value <= 100) || value != std::floor(value)) {
    throw ConfigError(
        fmt::format("neuralscale 'descent': expected an integer from 0 to 100, got {}", value));
  }
  return static_cast<std::int64_t>(value);
}

double rho_of_step(const ScalingTask&, std::int64_t i) {
  return 0.25 * std::pow(1.01, static_cast<double>(i - 1));
}

ScaledNetwork largest(ScalingTask task) {
  const bool own = task.proxy && task.proxy->prune;
  if (task.given.empty() && own) task.given = {static_cast<double>(task.proxy->descent)};
  Method family = method_of("neuralscale");
  if (task.given.empty()) task.given = {family.coefficients.front().value};
  const std::int64_t descent = descent_of(task.given.front());
  const NeuralScaleFit fit = own ? descend(task.baseline, descent, task.proxy->prune)
                                 : published_fit_for(task.baseline, descent);
  family.decide = nullptr;
  family.step = rho_of_step;
  family.scale = [&fit](const Architecture& baseline, std::span<const double> c,
                        const Rounding& q) {
    return with_size(baseline, fit, c.back(), q.width_multiple);
  };
  ScaledNetwork n = family.to_budget(task);
  n.note = fmt::format("{}, descent {}",
                       own ? "fit of its own pruning" : "published fit " + fit.name, descent);
  return n;
}

}  // namespace

Method neuralscale() {
  return {.key = "neuralscale",
          .name = "NeuralScale",
          .help = "widths by power laws of the network's size, fitted to a pruning (Lee 2020)",
          .coefficients = {{"descent", "of the published fit: 0 early, 14 late", 14},
                           {"rho", "factor of the widths whose parameters it has"}},
          .scale =
              [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
                return with_size(baseline, published_fit_for(baseline, descent_of(c[0])), c[1],
                                 q.width_multiple);
              },
          .decide = largest};
}

}  // namespace hac
