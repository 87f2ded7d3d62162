#include "scaling/methods/method.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"

namespace hac {

// In the order of --help. Each is a function of a file here.
#define HAC_METHODS(method)                                                                    \
  method(uniform_width) method(resolution) method(depth) method(compound) method(efficientnet) \
      method(fast_compound) method(hacscale_plain) method(hacscale_per_latency)                \
          method(hacscale_per_param)

#define HAC_DECLARE_METHOD(name) Method name();
HAC_METHODS(HAC_DECLARE_METHOD)
#undef HAC_DECLARE_METHOD

std::span<const Method> methods() {
#define HAC_METHOD_ROW(name) name(),
  static const std::vector<Method> table = {HAC_METHODS(HAC_METHOD_ROW)};
#undef HAC_METHOD_ROW
  return table;
}

const Method& method_of(const std::string& key) {
  std::vector<std::string> keys;
  for (const Method& method : methods()) {
    if (method.key == key) return method;
    keys.push_back(method.key);
  }
  throw ConfigError(fmt::format("method: expected one of {}, got '{}' (hint: did you mean {}?)",
                                fmt::join(keys, ", "), key.substr(0, 40), nearest(key, keys)));
}

namespace {

constexpr int kMisses = 8;
constexpr std::int64_t kLongestWalk = 4096;
// In operations: beyond, nothing would be compared that could be trained. A budget may allow it
// where a busy machine stalled the baseline's time.
constexpr std::int64_t kMostGrowth = 256;

ScaledNetwork member(const Method& method, const ScalingTask& task, double value, bool baseline) {
  ScaledNetwork n{.method = method.name, .arch = task.baseline, .coefficients = task.given};
  if (n.coefficients.empty()) {
    for (const Coefficient& c : method.coefficients) n.coefficients.push_back(c.value);
    n.coefficients.pop_back();
  }
  if (n.coefficients.size() + 1 != method.coefficients.size()) {
    throw ConfigError(fmt::format("{}: expected {} given coefficients, got {}", method.key,
                                  method.coefficients.size() - 1, n.coefficients.size()));
  }
  n.coefficients.push_back(value);
  if (!baseline) n.arch = method.scale(task.baseline, n.coefficients, task.rounding);
  n.latency_ms = task.model.predict(n.arch);
  n.params = count(n.arch).params;
  return n;
}

bool fits(const ScaledNetwork& n, const Budget& budget) {
  return budget.allows(n.latency_ms, static_cast<double>(n.params));
}

// The limits that this network breaks.
std::string broken_limit(const ScaledNetwork& n, const Budget& budget) {
  const bool latency = n.latency_ms > budget.latency_limit();
  const bool params = static_cast<double>(n.params) > budget.params;
  return to_string(latency && params ? StopReason::latency_and_params
                   : latency         ? StopReason::latency
                                     : StopReason::params);
}

// From the baseline upwards in steps.
ScaledNetwork largest_step(const Method& method, const ScalingTask& task, ScaledNetwork best) {
  const std::int64_t most = kMostGrowth * count(task.baseline).macs;
  int misses = 0;
  for (std::int64_t i = 1; i <= kLongestWalk; ++i) {
    ScaledNetwork n = member(method, task, method.step(task, i), false);
    if (std::isfinite(task.budget.latency_ms) && count(n.arch).macs > most) {
      if (misses == 0) best.limit = to_string(StopReason::growth_cap);
      return best;
    }
    if (fits(n, task.budget)) {
      best = std::move(n);
      misses = 0;
      continue;
    }
    if (misses == 0) best.limit = broken_limit(n, task.budget);
    if (++misses == kMisses) return best;
  }
  throw ConfigError(fmt::format(
      "{}: expected a budget that ends the growth, got a network {} steps on that still meets it "
      "(hint: give a latency limit)",
      method.key, kLongestWalk));
}

// Between the baseline and the largest growth.
ScaledNetwork largest_factor(const Method& method, const ScalingTask& task, ScaledNetwork best) {
  ScaledNetwork above = member(method, task, Method::largest_growth, false);
  if (fits(above, task.budget)) return above;
  double low = 1, high = Method::largest_growth;
  while (high - low > 1e-3 * low) {
    const double middle = std::sqrt(low * high);
    ScaledNetwork n = member(method, task, middle, false);
    const bool within = fits(n, task.budget);
    (within ? low : high) = middle;
    (within ? best : above) = std::move(n);
  }
  best.limit = broken_limit(above, task.budget);
  return best;
}

}  // namespace

ScaledNetwork Method::to_budget(const ScalingTask& task) const {
  if (decide) return decide(task);
  if (!std::isfinite(task.budget.latency_ms) && !std::isfinite(task.budget.params)) {
    throw ConfigError(fmt::format("{}: expected a limit, got none", key));
  }
  ScaledNetwork baseline = member(*this, task, 1, true);
  if (!fits(baseline, task.budget)) {
    baseline.limit = to_string(StopReason::infeasible);
    return baseline;
  }
  return step ? largest_step(*this, task, std::move(baseline))
              : largest_factor(*this, task, std::move(baseline));
}

std::vector<std::string> model_warnings(const LatencyModel& model, const Budget& budget,
                                        double baseline_ms) {
  if (!std::isfinite(budget.latency_ms)) return {};
  if (!model.error) {
    return {"the latency model does not say its error on networks that it was not fitted on"};
  }
  std::vector<std::string> lines;
  if (const std::int64_t unsteady = model.error->unsteady; unsteady > 0) {
    lines.push_back(
        fmt::format("the latency model is unsteady: a busy machine disturbed the times of {} of "
                    "its {} networks",
                    unsteady, model.error->networks));
  }
  const double room = budget.latency_limit() / baseline_ms - 1;
  if (model.error->median > room) {
    lines.push_back(fmt::format(
        "the latency model is off by {:.1f} % (median on networks left out of its fit, "
        "worst {:.1f} %), more than the {:.1f} % of room that the latency budget leaves",
        100 * model.error->median, 100 * model.error->worst, 100 * room));
  }
  return lines;
}

}  // namespace hac
