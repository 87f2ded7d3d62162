#include "scaling/methods/width_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <ranges>

#include "kernels/core/error.h"
#include "scaling/methods/optimum.h"

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
  if (o.stride > o.width_cap) {
    throw ConfigError(
        fmt::format("width scaling: expected a stride of at most the width cap, {}, got {}",
                    o.width_cap, o.stride));
  }
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

constexpr std::int64_t kLongestPlateau = 256;  // kernels scanned beyond a stride
constexpr double kFlat = 1e-9;                 // of a latency: rounding, no rise

// Kernels to add to a group, the first choice last, and what that one is worth.
struct Growth {
  std::vector<std::int64_t> by;
  double worth = 0;
};

// One run: again and again the group whose growth is worth the most.
class Widening {
 public:
  Widening(const WideningProblem& problem, const Budget& budget, const WideningOptions& options)
      : p_(problem),
        budget_(budget),
        o_(options),
        widths_(problem.widths),
        reasons_(problem.groups.size()),
        r_(unwidened(problem, budget)) {}
  virtual ~Widening() = default;

  WideningResult run() {
    if (r_.stop == StopReason::infeasible) return std::move(r_);
    if (!grow()) {
      r_.stop = StopReason::step_cap;
    } else {
      r_.stop = stopped_ == 0 ? StopReason::width_cap : stopped_by(stopped_);
    }
    for (int g = 0; g < std::ssize(p_.groups); ++g) {
      for (const int l : p_.groups[g]) {
        r_.layers[l].after = widths_[l];
        r_.layers[l].reason = reason(g, l);
      }
    }
    return std::move(r_);
  }

 protected:
  virtual Growth growth(int g) const = 0;                       // none: the width cap stops it
  virtual double importance(int g, std::int64_t by) const = 0;  // that a step is recorded with
  virtual std::string reason(int g, int layer) const = 0;
  virtual std::string reason_to_stop(StopReason limits) const = 0;

  std::vector<std::int64_t> widened(int g, std::int64_t by) const {
    std::vector<std::int64_t> wider = widths_;
    for (const int l : p_.groups[g]) wider[l] += by;
    return wider;
  }
  std::int64_t room(int g) const {
    std::int64_t least = o_.width_cap;
    for (const int l : p_.groups[g]) least = std::min(least, o_.width_cap - widths_[l]);
    return least;
  }

  const WideningProblem& p_;
  const Budget& budget_;
  WideningOptions o_;
  std::vector<std::int64_t> widths_;
  std::vector<std::string> reasons_;  // why a group stopped; "" while it has not
  WideningResult r_;

 private:
  // False where the steps ran out.
  bool grow() {
    while (std::ssize(r_.steps) < o_.step_cap) {
      int best = -1;
      Growth most;
      for (int g = 0; g < std::ssize(p_.groups); ++g) {
        if (!reasons_[g].empty()) continue;
        Growth next = growth(g);
        if (next.by.empty()) {
          reasons_[g] = "stopped by the width cap";
        } else if (best < 0 || next.worth > most.worth) {
          best = g, most = std::move(next);
        }
      }
      if (best < 0 || !take(best, most.by)) return true;
    }
    return false;
  }

  // The first of the choices that keeps the limits; false where the policy ends the run.
  bool take(int g, const std::vector<std::int64_t>& choices) {
    unsigned broken = 0;
    for (const std::int64_t by : std::views::reverse(choices)) {
      const std::vector<std::int64_t> wider = widened(g, by);
      const NetworkCost cost = p_.cost(wider);
      const unsigned bits = budget_.broken_by(cost);
      if (bits == 0 || o_.policy == StepPolicy::paper) {
        const int first = p_.groups[g][0];
        r_.steps.push_back({first, wider[first], importance(g, by), cost.latency_ms, cost.params});
        widths_ = wider;
        r_.scaled = cost;
      }
      if (bits == 0) return true;
      broken = bits;
    }
    stopped_ |= broken;
    reasons_[g] = reason_to_stop(stopped_by(broken));
    return o_.policy == StepPolicy::fill;
  }

  unsigned stopped_ = 0;  // bits of StopReason
};

class Algorithm1 final : public Widening {
 public:
  using Widening::Widening;

 private:
  double importance(int g, std::int64_t) const override {
    double sum = 0;
    for (const int l : p_.groups[g]) sum += p_.laws[l](static_cast<double>(widths_[l]));
    return sum / static_cast<double>(p_.groups[g].size());
  }

  Growth growth(int g) const override {
    if (room(g) < o_.stride) return {};
    return {{o_.stride}, worth(g)};
  }

  // What a step is worth. A step that costs no latency at all (inside a block of the staircase)
  // counts as one that costs a billionth of the network.
  double worth(int g) const {
    const double plain = importance(g, o_.stride);
    if (o_.criterion == WideningCriterion::plain) return plain;
    const NetworkCost next = p_.cost(widened(g, o_.stride)), &now = r_.scaled;
    const double cost = o_.criterion == WideningCriterion::per_latency
                            ? std::max(next.latency_ms - now.latency_ms, 1e-9 * now.latency_ms)
                            : std::max<double>(1, static_cast<double>(next.params - now.params));
    return plain / std::max(cost, 1e-300);
  }

  std::string reason_to_stop(StopReason limits) const override {
    return fmt::format("{} by the {} limit",
                       o_.policy == StepPolicy::paper ? "overshoot ended" : "stopped",
                       to_string(limits));
  }

  std::string reason(int g, int layer) const override {
    const int first = p_.groups[g][0];
    if (layer != first) return fmt::format("tied to {}: {}", p_.names[first], reason(g, first));
    if (!reasons_[g].empty()) return reasons_[g];
    return widths_[first] > p_.widths[first] ? "widened until others were more important"
                                             : "others were more important";
  }
};

class EdgeWidening final : public Widening {
 public:
  EdgeWidening(const WideningProblem& problem, const Budget& budget, const WideningOptions& options,
               const GroupLatency& latency)
      : Widening(problem, budget, options), latency_(latency) {
    o_.policy = StepPolicy::fill;
  }

 private:
  double gain(int g, std::int64_t by) const { return total_gain(p_.laws, widths_, widened(g, by)); }

  // The mean of the kernels that were added.
  double importance(int g, std::int64_t by) const override {
    return gain(g, by) / (static_cast<double>(by) * static_cast<double>(p_.groups[g].size()));
  }

  Growth growth(int g) const override {
    const std::int64_t farthest = std::min(room(g), o_.stride + kLongestPlateau);
    Growth growth;
    const double before = latency_(widths_, g);
    double at = before, first_choice = before;
    bool flat = false, any_flat = false;  // the last kernel was free, one was
    for (std::int64_t by = 0; by <= farthest; ++by) {
      const double next = by < room(g) ? latency_(widened(g, by + 1), g) : at;
      const bool rises = by == room(g) || next > at * (1 + kFlat);
      any_flat |= flat;
      const bool step = by >= o_.stride && !any_flat && rises;  // no staircase so far
      if (by > 0 && ((flat && rises) || step || by == farthest)) {
        growth.by.push_back(by);
        first_choice = at;
        const bool free = at <= before * (1 + kFlat);
        if (free || by >= o_.stride) break;
      }
      flat = !rises;
      at = next;
    }
    if (growth.by.empty()) return growth;
    const double ms = std::max(first_choice - before, kFlat * before);
    growth.worth = gain(g, growth.by.back()) / std::max(ms, 1e-300);
    return growth;
  }

  std::string reason_to_stop(StopReason limits) const override {
    return fmt::format("its next edge would break {}", to_string(limits));
  }

  std::string reason(int g, int) const override {
    return reasons_[g].empty() ? "others gain more for what they cost" : reasons_[g];
  }

  const GroupLatency& latency_;
};

}  // namespace

Fields WideningResult::fields() {
  Value named{Fields()};  // the steps, each with the name of its layer
  named.at = List{.size = [this] { return steps.size(); },
                  .at = [this](std::size_t i) -> Value {
                    std::string& layer = layers[steps[i].layer].layer;
                    return Fields().add("layer", layer).add(steps[i].fields());
                  }};
  return HAC_FIELDS(stop, baseline, scaled, layers).add("steps", named);
}

std::vector<std::int64_t> WideningResult::widths() const {
  std::vector<std::int64_t> after;
  for (const LayerPlan& layer : layers) after.push_back(layer.after);
  return after;
}

WideningResult widen(const WideningProblem& problem, const Budget& budget,
                     const WideningOptions& options) {
  validate(problem, budget, options);
  return Algorithm1(problem, budget, options).run();
}

WideningResult widen_to_edges(const WideningProblem& problem, const Budget& budget,
                              const WideningOptions& options, GroupLatency latency) {
  validate(problem, budget, options);
  if (!latency) {
    latency = [&](const std::vector<std::int64_t>& w, int) { return problem.cost(w).latency_ms; };
  }
  return EdgeWidening(problem, budget, options, latency).run();
}

}  // namespace hac
