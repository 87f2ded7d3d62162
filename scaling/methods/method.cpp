#include "scaling/methods/method.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"

namespace hac {

// In the order of --help. Each is a function of a file here.
#define HAC_METHODS(method)                                                                       \
  method(uniform_width) method(resolution) method(depth) method(depth_canonical) method(compound) \
      method(efficientnet) method(efficientnet_grid) method(lacs) method(fast_compound)           \
          method(greedy_enlarge) method(neuralscale) method(neuralscale_paper)                    \
              method(hacscale_plain) method(hacscale_paper) method(hacscale_safe)                 \
                  method(hacscale_per_latency) method(hacscale_per_param) method(hacscale_cost)   \
                      method(hacscale_depth) method(dp)

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
  ScaledNetwork n{
      .method = method.name, .key = method.key, .arch = task.baseline, .coefficients = task.given};
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
  n.cost = cost_of(n.arch, task.model);
  return n;
}

ScaledNetwork infeasible(ScaledNetwork n) {
  n.limit = to_string(StopReason::infeasible);
  return n;
}

// Of the members of a family, from small to large: the last one within the budget.
struct Walk {
  const Budget& budget;
  std::optional<ScaledNetwork> best, smallest;  // within the budget; not within it
  std::string limit;                            // that the first one after the best breaks

  bool keeps(ScaledNetwork n) {
    const unsigned broken = budget.broken_by(n.cost);
    if (broken == 0) {
      best = std::move(n);
      limit.clear();
      return true;
    }
    if (limit.empty()) limit = to_string(stopped_by(broken));
    if (!smallest) smallest = std::move(n);
    return false;
  }
  // Of a walk that ends by itself for this reason.
  ScaledNetwork result(const ScaledNetwork& baseline, StopReason end) const {
    if (!best) return infeasible(smallest ? *smallest : baseline);
    ScaledNetwork n = *best;
    n.limit = limit.empty() ? to_string(end) : limit;
    return n;
  }
};

// From the baseline upwards in steps.
ScaledNetwork largest_step(const Method& method, const ScalingTask& task,
                           const ScaledNetwork& baseline) {
  const std::int64_t most = kMostGrowth * count(task.baseline).macs;
  Walk walk{.budget = task.budget};
  int misses = 0;
  for (std::int64_t i = 1; i <= kLongestWalk; ++i) {
    const double value = method.step(task, i);
    if (value == 0) return walk.result(baseline, StopReason::last_member);
    ScaledNetwork n = member(method, task, value, false);
    if (std::isfinite(task.budget.latency_ms) && count(n.arch).macs > most) {
      return walk.result(baseline, StopReason::growth_cap);
    }
    misses = walk.keeps(std::move(n)) ? 0 : misses + 1;
    if (misses == kMisses) return walk.result(baseline, StopReason::growth_cap);
  }
  throw ConfigError(fmt::format(
      "{}: expected a budget that ends the growth, got a network {} steps on that still meets it "
      "(hint: give a latency limit)",
      method.key, kLongestWalk));
}

// From the baseline upwards by 1 %, then to 0.1 %: rounding makes a staircase of the family too,
// and where latency dips a larger member is within the budget again.
ScaledNetwork largest_factor(const Method& method, const ScalingTask& task,
                             const ScaledNetwork& baseline) {
  constexpr double kStep = 1.01, kFineStep = 1.001, kFurthestDip = 1.5;
  Walk walk{.budget = task.budget};
  const auto visit = [&](double from, double to, double step) {
    double last = from;
    for (double value = from * step; value < to; value *= step) {
      ScaledNetwork n = member(method, task, value, false);
      if (n.arch == baseline.arch) continue;
      if (walk.keeps(std::move(n))) last = value;
      if (value > last * kFurthestDip && step == kStep) break;
    }
  };
  visit(1, Method::largest_growth, kStep);
  if (walk.best) {
    const double found = walk.best->coefficients.back();
    const std::string coarse = walk.limit;  // of the next step, which the finer ones do not reach
    visit(found, found * kStep, kFineStep);
    if (walk.limit.empty()) walk.limit = coarse;
  }
  return walk.result(baseline, StopReason::growth_cap);
}

void require_what_it_needs(const Method& method, const ScalingTask& task) {
  if (!task.budget.limited()) {
    throw ConfigError(fmt::format("{}: expected a limit, got none", method.key));
  }
  if (method.needs_laws && task.laws.empty()) {
    throw ConfigError(fmt::format("{}: expected the laws of the layers, got none", method.key));
  }
  if (method.needs_proxy && task.proxy == nullptr) {
    throw ConfigError(fmt::format(
        "{0}: expected data to train on while it searches, got none (hint: hacscale compare "
        "--methods {0} --networks-only)",
        method.key));
  }
  if (method.needs_latency && !std::isfinite(task.budget.latency_ms)) {
    throw ConfigError(fmt::format("{}: expected a latency limit, got none", method.key));
  }
}

}  // namespace

ScaledNetwork Method::to_budget(const ScalingTask& task) const {
  require_what_it_needs(*this, task);
  if (decide) {
    ScaledNetwork n = decide(task);
    n.method = name;
    n.key = key;
    return n;
  }
  ScaledNetwork baseline = member(*this, task, 1, true);
  if (!task.budget.allows(baseline.cost)) return infeasible(std::move(baseline));
  return step ? largest_step(*this, task, baseline) : largest_factor(*this, task, baseline);
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
