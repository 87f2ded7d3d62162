#include "scaling/methods/edge_widening.h"

#include <fmt/format.h>

#include <algorithm>

#include "scaling/methods/optimum.h"
#include "scaling/methods/width_costs.h"

namespace hac {

namespace {

constexpr std::int64_t kLongestPlateau = 256;  // kernels scanned beyond a stride
constexpr double kFlat = 1e-9;                 // of a latency: rounding, no rise

// Kernels to add to a group, the first choice last.
struct Jumps {
  std::vector<std::int64_t> by;
  double worth = 0;  // gain of the first choice for its milliseconds
};

class EdgeWidening {
 public:
  EdgeWidening(const WideningProblem& problem, const Budget& budget, const WideningOptions& options,
               const GroupLatency& latency)
      : p_(problem),
        budget_(budget),
        o_(options),
        latency_(latency),
        widths_(problem.widths),
        frozen_(problem.groups.size()),
        r_(unwidened(problem, budget)) {}

  WideningResult run() {
    if (r_.stop == StopReason::infeasible) return std::move(r_);
    const bool ended = grow();
    if (!ended) {
      r_.stop = StopReason::step_cap;
    } else {
      r_.stop = stopped_ == 0 ? StopReason::width_cap : stopped_by(stopped_);
    }
    for (std::size_t g = 0; g < p_.groups.size(); ++g) {
      for (const int l : p_.groups[g]) {
        r_.layers[l].after = widths_[l];
        r_.layers[l].reason =
            frozen_[g].empty() ? "others gain more for what they cost" : frozen_[g];
      }
    }
    return std::move(r_);
  }

 private:
  // False where the steps ran out.
  bool grow() {
    while (std::ssize(r_.steps) < o_.step_cap) {
      int best = -1;
      Jumps most;
      for (int g = 0; g < std::ssize(p_.groups); ++g) {
        if (!frozen_[g].empty()) continue;
        Jumps jumps = jumps_of(g);
        if (jumps.by.empty()) {
          frozen_[g] = "stopped by the width cap";
        } else if (best < 0 || jumps.worth > most.worth) {
          best = g, most = std::move(jumps);
        }
      }
      if (best < 0) return true;
      take_what_fits(best, most);
    }
    return false;
  }

  void take_what_fits(int g, const Jumps& jumps) {
    unsigned broken = 0;
    for (auto by = jumps.by.rbegin(); by != jumps.by.rend(); ++by) {
      const std::vector<std::int64_t> wider = widened(g, *by);
      const NetworkCost cost = p_.cost(wider);
      if (const unsigned bits = budget_.broken_by(cost); bits != 0) {
        broken = bits;
        continue;
      }
      const double kernels = static_cast<double>(*by) * static_cast<double>(p_.groups[g].size());
      r_.steps.push_back({p_.groups[g][0], wider[p_.groups[g][0]], gain(g, *by) / kernels,
                          cost.latency_ms, cost.params});
      widths_ = wider;
      r_.scaled = cost;
      return;
    }
    stopped_ |= broken;
    frozen_[g] = fmt::format("its next edge would break {}", to_string(stopped_by(broken)));
  }

  std::vector<std::int64_t> widened(int g, std::int64_t by) const {
    std::vector<std::int64_t> wider = widths_;
    for (const int l : p_.groups[g]) wider[l] += by;
    return wider;
  }

  double gain(int g, std::int64_t by) const {
    double sum = 0;
    for (const int l : p_.groups[g]) sum += width_gain(p_.laws[l], widths_[l], widths_[l] + by);
    return sum;
  }

  Jumps jumps_of(int g) const {
    std::int64_t room = o_.width_cap;
    for (const int l : p_.groups[g]) room = std::min(room, o_.width_cap - widths_[l]);
    const std::int64_t farthest = std::min(room, o_.stride + kLongestPlateau);
    Jumps jumps;
    const double before = latency_(widths_, g);
    double at = before, first_choice = before;
    bool flat = false, any_flat = false;  // the last kernel was free, one was
    for (std::int64_t by = 0; by <= farthest; ++by) {
      const double next = by < room ? latency_(widened(g, by + 1), g) : at;
      const bool rises = by == room || next > at * (1 + kFlat);
      any_flat |= flat;
      const bool step = by >= o_.stride && !any_flat && rises;  // no staircase so far
      if (by > 0 && ((flat && rises) || step || by == farthest)) {
        jumps.by.push_back(by);
        first_choice = at;
        const bool free = at <= before * (1 + kFlat);
        if (free || by >= o_.stride) break;
      }
      flat = !rises;
      at = next;
    }
    if (jumps.by.empty()) return jumps;
    const double ms = std::max(first_choice - before, kFlat * before);
    jumps.worth = gain(g, jumps.by.back()) / std::max(ms, 1e-300);
    return jumps;
  }

  const WideningProblem& p_;
  const Budget& budget_;
  const WideningOptions& o_;
  const GroupLatency& latency_;
  std::vector<std::int64_t> widths_;
  std::vector<std::string> frozen_;  // why a group is; "" while it is not
  unsigned stopped_ = 0;             // bits of StopReason
  WideningResult r_;
};

}  // namespace

WideningResult widen_to_edges(const WideningProblem& problem, const Budget& budget,
                              const WideningOptions& options, GroupLatency latency) {
  validate(problem, budget, options);
  if (!latency) {
    latency = [&](const std::vector<std::int64_t>& w, int) { return problem.cost(w).latency_ms; };
  }
  return EdgeWidening(problem, budget, options, latency).run();
}

ScalingPlan decide_by_edges(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                            const LatencyModel& model, const Budget& budget,
                            const WideningOptions& options) {
  const WideningProblem problem = widening_problem(baseline, laws, model, options);
  if (!WidthCosts::possible(baseline)) {
    return plan_of(baseline, laws, model, budget, options,
                   widen_to_edges(problem, budget, options));
  }
  const WidthCosts costs(baseline, model);
  std::vector<std::vector<int>> terms;  // of each group
  for (const std::vector<int>& group : problem.groups) {
    terms.emplace_back();
    for (int t = 0; t < costs.terms(); ++t) {
      const std::vector<int>& scope = costs.scope(t);
      if (std::ranges::find_first_of(group, scope) != group.end()) terms.back().push_back(t);
    }
  }
  const auto latency = [&](const std::vector<std::int64_t>& widths, int group) {
    double ms = 0;
    for (const int t : terms[group]) ms += costs.cost(t, widths).ms;
    return ms;
  };
  return plan_of(baseline, laws, model, budget, options,
                 widen_to_edges(problem, budget, options, latency));
}

}  // namespace hac
