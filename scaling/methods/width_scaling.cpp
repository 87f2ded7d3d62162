#include "scaling/methods/width_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"

namespace hac {

void validate(const WideningProblem& p, const Budget& budget, const WideningOptions& o) {
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
  if (!budget.limited()) {
    throw ConfigError("width scaling: expected a limit on latency, parameters or memory, got none");
  }
}

WideningResult unwidened(const WideningProblem& problem, const Budget& budget) {
  WideningResult r;
  r.baseline = r.scaled = problem.cost(problem.widths);
  const bool feasible = budget.allows(r.scaled);
  if (!feasible) r.stop = StopReason::infeasible;
  for (std::size_t l = 0; l < problem.widths.size(); ++l) {
    r.layers.push_back({problem.names[l], problem.widths[l], problem.widths[l],
                        feasible ? "" : "the baseline is above the budget"});
  }
  return r;
}

namespace {

// The state of one run of Algorithm 1.
class Widening {
 public:
  Widening(const WideningProblem& problem, const Budget& budget, const WideningOptions& options)
      : p_(problem),
        budget_(budget),
        o_(options),
        widths_(problem.widths),
        frozen_(problem.groups.size(), false),
        reasons_(problem.groups.size()),
        r_(unwidened(problem, budget)) {}

  WideningResult run() {
    if (r_.stop == StopReason::infeasible) return std::move(r_);
    grow();
    r_.stop = stop_reason();
    for (std::size_t l = 0; l < widths_.size(); ++l) r_.layers[l].after = widths_[l];
    for (std::size_t g = 0; g < p_.groups.size(); ++g) describe(g);
    return std::move(r_);
  }

 private:
  struct Trial {
    std::vector<std::int64_t> widths;
    NetworkCost cost;
  };

  void grow() {
    while (static_cast<std::int64_t>(r_.steps.size()) < o_.step_cap) {
      freeze_at_cap();
      const int g = most_important();
      if (g < 0) return;
      const Trial trial = widened(g);
      const unsigned broken = budget_.broken_by(trial.cost);
      if (broken != 0) {
        stopped_ |= broken;
        frozen_[g] = true;
        reasons_[g] = fmt::format("{} by the {} limit",
                                  o_.policy == StepPolicy::paper ? "overshoot ended" : "stopped",
                                  to_string(stopped_by(broken)));
      }
      if (broken == 0 || o_.policy == StepPolicy::paper) accept(g, trial);
      if (broken != 0 && o_.policy != StepPolicy::fill) return;
    }
    steps_ran_out_ = true;
  }

  double importance(int g) const {
    double sum = 0;
    for (const int l : p_.groups[g]) sum += p_.laws[l](static_cast<double>(widths_[l]));
    return sum / static_cast<double>(p_.groups[g].size());
  }

  Trial widened(int g) const {
    Trial t{widths_, {}};
    for (const int l : p_.groups[g]) t.widths[l] += o_.stride;
    t.cost = p_.cost(t.widths);
    return t;
  }

  // What a step is worth. A step that costs no latency at all (inside a block of the staircase)
  // counts as one that costs a billionth of the network.
  double worth(int g) const {
    const double plain = importance(g);
    if (o_.criterion == WideningCriterion::plain) return plain;
    const NetworkCost next = widened(g).cost, &now = r_.scaled;
    const double cost = o_.criterion == WideningCriterion::per_latency
                            ? std::max(next.latency_ms - now.latency_ms, 1e-9 * now.latency_ms)
                            : std::max<double>(1, static_cast<double>(next.params - now.params));
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
    r_.steps.push_back(
        {first, trial.widths[first], importance(g), trial.cost.latency_ms, trial.cost.params});
    widths_ = trial.widths;
    r_.scaled = trial.cost;
  }

  StopReason stop_reason() const {
    if (steps_ran_out_) return StopReason::step_cap;
    return stopped_ != 0 ? stopped_by(stopped_) : StopReason::width_cap;
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
  unsigned stopped_ = 0;  // bits of StopReason
  bool steps_ran_out_ = false;
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
  validate(problem, budget, options);
  return Widening(problem, budget, options).run();
}

}  // namespace hac
