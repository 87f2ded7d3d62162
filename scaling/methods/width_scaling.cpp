#include "scaling/methods/width_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"

namespace hac {

namespace {

void check(const WideningProblem& p, const Budget& budget, const WideningOptions& o) {
  const std::size_t n = p.widths.size();
  if (n == 0 || p.laws.size() != n || p.names.size() != n) {
    throw ConfigError(
        fmt::format("width scaling: expected one law a layer, got {} and {}", p.laws.size(), n));
  }
  for (std::size_t l = 0; l < n; ++l) {
    const double importance = p.laws[l](static_cast<double>(p.widths[l]));
    if (!(p.laws[l].a >= 0) || !std::isfinite(importance)) {
      throw ConfigError(
          fmt::format("width scaling '{}': expected a finite importance >= 0, got {} * C^{}",
                      p.names[l], p.laws[l].a, p.laws[l].b));
    }
  }
  require_importance(p.laws);
  std::vector<int> seen;
  for (const auto& group : p.groups) seen.insert(seen.end(), group.begin(), group.end());
  std::sort(seen.begin(), seen.end());
  std::vector<int> all(n);
  std::iota(all.begin(), all.end(), 0);
  if (seen != all) throw ConfigError("width scaling: expected groups that hold each layer once");
  check(fields_of(o), "width scaling");
  check(fields_of(budget), "width scaling");
  if (!std::isfinite(budget.latency_ms) && !std::isfinite(budget.params)) {
    throw ConfigError("width scaling: expected a limit on latency or parameters, got neither");
  }
}

// The state of one run of Algorithm 1.
class Widening {
 public:
  Widening(const WideningProblem& problem, const Budget& budget, const WideningOptions& options)
      : p_(problem),
        budget_(budget),
        o_(options),
        widths_(problem.widths),
        frozen_(problem.groups.size(), false),
        reasons_(problem.groups.size()) {
    r_.baseline_ms = r_.latency_ms = p_.latency_ms(widths_);
    r_.baseline_params = r_.params = p_.params(widths_);
  }

  WideningResult run() {
    const bool feasible = budget_.allows(r_.latency_ms, static_cast<double>(r_.params));
    if (!feasible) reasons_.assign(reasons_.size(), "the baseline is above the budget");
    if (feasible) grow();
    r_.stop = feasible ? stop_reason() : StopReason::infeasible;
    for (std::size_t l = 0; l < widths_.size(); ++l) {
      r_.layers.push_back({p_.names[l], p_.widths[l], widths_[l], ""});
    }
    for (std::size_t g = 0; g < p_.groups.size(); ++g) describe(g);
    return std::move(r_);
  }

 private:
  struct Trial {
    std::vector<std::int64_t> widths;
    double latency_ms;
    std::int64_t params;
  };

  void grow() {
    while (static_cast<std::int64_t>(r_.steps.size()) < o_.step_cap) {
      freeze_at_cap();
      const int g = most_important();
      if (g < 0) return;
      const Trial trial = widened(g);
      const bool latency_broken = trial.latency_ms > budget_.latency_limit();
      const bool params_broken = static_cast<double>(trial.params) > budget_.params;
      const bool broken = latency_broken || params_broken;
      if (broken) {
        latency_stopped_ |= latency_broken;
        params_stopped_ |= params_broken;
        frozen_[g] = true;
        reasons_[g] = fmt::format(
            "{} by the {} limit", o_.policy == StepPolicy::paper ? "overshoot ended" : "stopped",
            latency_broken ? (params_broken ? "latency and the params" : "latency") : "params");
      }
      if (!broken || o_.policy == StepPolicy::paper) accept(g, trial);
      if (broken && o_.policy != StepPolicy::fill) return;
    }
    steps_ran_out_ = true;
  }

  double importance(int g) const {
    double sum = 0;
    for (const int l : p_.groups[g]) sum += p_.laws[l](static_cast<double>(widths_[l]));
    return sum / static_cast<double>(p_.groups[g].size());
  }

  Trial widened(int g) const {
    Trial t{widths_, 0, 0};
    for (const int l : p_.groups[g]) t.widths[l] += o_.stride;
    t.latency_ms = p_.latency_ms(t.widths);
    t.params = p_.params(t.widths);
    return t;
  }

  // What a step is worth. A step that costs no latency at all (inside a block of the staircase)
  // counts as one that costs a billionth of the network.
  double worth(int g) const {
    const double plain = importance(g);
    if (o_.criterion == WideningCriterion::plain) return plain;
    const Trial t = widened(g);
    const double cost = o_.criterion == WideningCriterion::per_latency
                            ? std::max(t.latency_ms - r_.latency_ms, 1e-9 * r_.latency_ms)
                            : std::max<double>(1, static_cast<double>(t.params - r_.params));
    return plain / std::max(cost, 1e-300);
  }

  int most_important() const {
    int best = -1;
    double most = 0;
    for (int g = 0; g < static_cast<int>(frozen_.size()); ++g) {
      if (frozen_[g]) continue;
      const double value = worth(g);
      if (best < 0 || value > most) best = g, most = value;
    }
    return best;
  }

  void freeze_at_cap() {
    for (std::size_t g = 0; g < frozen_.size(); ++g) {
      const bool capped = std::any_of(p_.groups[g].begin(), p_.groups[g].end(),
                                      [&](int l) { return widths_[l] + o_.stride > o_.width_cap; });
      if (frozen_[g] || !capped) continue;
      frozen_[g] = true;
      reasons_[g] = "stopped by the width cap";
    }
  }

  void accept(int g, const Trial& trial) {
    const int first = p_.groups[g][0];
    r_.steps.push_back({first, trial.widths[first], importance(g), trial.latency_ms, trial.params});
    widths_ = trial.widths;
    r_.latency_ms = trial.latency_ms;
    r_.params = trial.params;
  }

  StopReason stop_reason() const {
    if (steps_ran_out_) return StopReason::step_cap;
    if (latency_stopped_ && params_stopped_) return StopReason::latency_and_params;
    if (latency_stopped_) return StopReason::latency;
    return params_stopped_ ? StopReason::params : StopReason::width_cap;
  }

  void describe(std::size_t g) {
    const int first = p_.groups[g][0];
    std::string reason = reasons_[g];
    if (reason.empty()) {
      reason = widths_[first] > p_.widths[first] ? "widened until others were more important"
                                                 : "others were more important";
    }
    for (const int l : p_.groups[g]) {
      r_.layers[l].reason =
          l == first ? reason : fmt::format("tied to {}: {}", p_.names[first], reason);
    }
  }

  const WideningProblem& p_;
  const Budget& budget_;
  const WideningOptions& o_;
  std::vector<std::int64_t> widths_;
  std::vector<bool> frozen_;
  std::vector<std::string> reasons_;
  bool latency_stopped_ = false, params_stopped_ = false, steps_ran_out_ = false;
  WideningResult r_;
};

}  // namespace

std::vector<std::int64_t> WideningResult::widths() const {
  std::vector<std::int64_t> after;
  for (const LayerPlan& layer : layers) after.push_back(layer.after);
  return after;
}

WideningResult widen(const WideningProblem& problem, const Budget& budget,
                     const WideningOptions& options) {
  check(problem, budget, options);
  return Widening(problem, budget, options).run();
}

}  // namespace hac
