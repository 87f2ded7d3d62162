#include "scaling/methods/optimum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "kernels/core/error.h"
#include "scaling/methods/choice.h"
#include "scaling/methods/width_costs.h"

namespace hac {

namespace {

constexpr double kMostWork = 4e9;     // additions of one elimination, a few seconds
constexpr double kMostEntries = 1e7;  // times predicted, tens of seconds
constexpr std::size_t kMostStates = 4096;
constexpr int kMisses = 8;  // latency is a staircase that may dip
constexpr std::int64_t kWidest = 65536;

using WidthList = std::vector<std::int64_t>;

// The choices of the groups of a problem, and their costs as tables.
class OptimumProblem {
 public:
  OptimumProblem(const WideningProblem& problem, const WidthCosts& costs, const Budget& budget,
                 const WideningOptions& options)
      : p_(problem), costs_(costs), budget_(budget), o_(options), group_of_(p_.widths.size()) {
    for (int g = 0; g < std::ssize(p_.groups); ++g) {
      for (const int l : p_.groups[g]) group_of_[l] = g;
    }
    choice_.ms_limit = budget.latency_limit();
    choice_.params_limit = std::min(budget.params, std::floor(budget.memory_bytes / 4));
    // Sums of tables are those of the network to rounding.
    choice_.allows = [this](const States& s) { return budget_.allows(p_.cost(widths_of(s))); };
  }

  // False where a layer has too many. Those of `plan`, which may lie between, are choices too.
  bool find_states(const WidthList& plan) {
    find_scopes();
    for (int g = 0; g < std::ssize(p_.groups); ++g) {
      std::set<std::int64_t> added = reachable(g);
      if (added.size() > kMostStates) return false;
      if (!plan.empty()) added.insert(plan[p_.groups[g][0]] - p_.widths[p_.groups[g][0]]);
      added_.emplace_back(added.begin(), added.end());
      add_gains(g);
    }
    choice_.ms.resize(choice_.scopes.size());
    choice_.params.resize(choice_.scopes.size());
    return choice_.work() <= kMostWork && choice_.entries() <= kMostEntries;
  }

  void fill_tables() {
    for (std::size_t t = 0; t < choice_.scopes.size(); ++t) fill(t);
  }

  const ChoiceProblem& choice() const { return choice_; }

  WidthList widths_of(const States& states) const {
    WidthList w = p_.widths;
    for (std::size_t l = 0; l < w.size(); ++l) w[l] += added_[group_of_[l]][states[group_of_[l]]];
    return w;
  }

  // Of widths that are choices; null of others.
  std::optional<States> states_of(const WidthList& widths) const {
    States states;
    for (std::size_t g = 0; g < p_.groups.size(); ++g) {
      const int l = p_.groups[g][0];
      const auto at = std::ranges::lower_bound(added_[g], widths[l] - p_.widths[l]);
      if (at == added_[g].end() || *at != widths[l] - p_.widths[l]) return std::nullopt;
      states.push_back(static_cast<int>(at - added_[g].begin()));
    }
    return states;
  }

 private:
  // Terms of the same groups share a table.
  void find_scopes() {
    std::map<std::vector<int>, std::vector<int>> terms;
    for (int t = 0; t < costs_.terms(); ++t) {
      std::set<int> groups;
      for (const int l : costs_.scope(t)) groups.insert(group_of_[l]);
      terms[{groups.begin(), groups.end()}].push_back(t);
    }
    for (auto& [scope, of] : terms) {
      choice_.scopes.push_back(scope);
      terms_.push_back(std::move(of));
      floors_.push_back(least(static_cast<int>(terms_.size()) - 1, -1, 0));
    }
  }

  WidthCosts::Cost table_cost(int table, const WidthList& widths) const {
    WidthCosts::Cost sum;
    for (const int t : terms_[table]) sum += costs_.cost(t, widths);
    return sum;
  }

  void widen_group(WidthList& w, int g, std::int64_t added) const {
    for (const int l : p_.groups[g]) w[l] = p_.widths[l] + added;
  }

  // The least that a table costs where group g has grown by `added`: the others at their baseline,
  // a stride above it, or as wide as that group, where no projection is needed.
  WidthCosts::Cost least(int table, int g, std::int64_t added) const {
    std::vector<WidthList> trials{p_.widths};
    if (g >= 0) widen_group(trials[0], g, added);
    for (const int other : choice_.scopes[table]) {
      if (other == g) continue;
      std::set<std::int64_t> grown{0, o_.stride};
      if (g >= 0) {
        const std::int64_t same =
            p_.widths[p_.groups[g][0]] + added - p_.widths[p_.groups[other][0]];
        if (same >= 0) grown.insert(same);
      }
      std::vector<WidthList> more;
      for (const WidthList& w : trials) {
        for (const std::int64_t by : grown) widen_group(more.emplace_back(w), other, by);
      }
      trials = std::move(more);
    }
    WidthCosts::Cost floor{std::numeric_limits<double>::infinity(),
                           std::numeric_limits<std::int64_t>::max()};
    for (const WidthList& w : trials) {
      const WidthCosts::Cost cost = table_cost(table, w);
      floor = {std::min(floor.ms, cost.ms), std::min(floor.params, cost.params)};
    }
    return floor;
  }

  // By how much group g may grow.
  std::set<std::int64_t> reachable(int g) const {
    WidthCosts::Cost others;
    std::vector<int> own;
    for (int t = 0; t < std::ssize(choice_.scopes); ++t) {
      const auto& scope = choice_.scopes[t];
      if (std::ranges::find(scope, g) == scope.end()) {
        others += floors_[t];
      } else {
        own.push_back(t);
      }
    }
    std::int64_t widest = 0;
    for (const int l : p_.groups[g]) widest = std::max(widest, p_.widths[l]);
    const std::int64_t cap = std::min(o_.width_cap, kWidest) - widest;
    std::set<std::int64_t> found{0};
    int misses = 0;
    for (std::int64_t by = o_.stride; by <= cap && found.size() <= kMostStates; by += o_.stride) {
      WidthCosts::Cost floor = others;
      for (const int t : own) floor += least(t, g, by);
      if (floor.ms <= choice_.ms_limit &&
          static_cast<double>(floor.params) <= choice_.params_limit) {
        found.insert(by);
        misses = 0;
      } else if (++misses == kMisses) {
        break;
      }
    }
    return found;
  }

  void add_gains(int g) {
    std::vector<double> gains;
    WidthList w = p_.widths;
    for (const std::int64_t by : added_[g]) {
      widen_group(w, g, by);
      gains.push_back(total_gain(p_.laws, p_.widths, w));
    }
    choice_.gains.push_back(std::move(gains));
  }

  void fill(std::size_t table) {
    const std::vector<int>& scope = choice_.scopes[table];
    std::size_t entries = 1;
    for (const int g : scope) entries *= added_[g].size();
    choice_.ms[table].resize(entries);
    choice_.params[table].resize(entries);
    WidthList w = p_.widths;
    for (std::size_t i = 0; i < entries; ++i) {
      std::size_t rest = i;
      for (auto g = scope.rbegin(); g != scope.rend(); ++g) {
        widen_group(w, *g, added_[*g][rest % added_[*g].size()]);
        rest /= added_[*g].size();
      }
      const WidthCosts::Cost cost = table_cost(static_cast<int>(table), w);
      choice_.ms[table][i] = cost.ms;
      choice_.params[table][i] = static_cast<double>(cost.params);
    }
  }

  const WideningProblem& p_;
  const WidthCosts& costs_;
  const Budget& budget_;
  const WideningOptions& o_;
  std::vector<int> group_of_;                     // of each layer
  std::vector<std::vector<std::int64_t>> added_;  // kernels, of each group's states
  std::vector<std::vector<int>> terms_;           // of each table
  std::vector<WidthCosts::Cost> floors_;          // the least of each table
  ChoiceProblem choice_;
};

// What Algorithm 1 finds by each criterion, where it goes on until nothing fits.
std::vector<WidthList> greedy(WideningProblem problem, const WidthCosts& costs,
                              const Budget& budget, WideningOptions options) {
  if (!std::isfinite(budget.memory_bytes)) {
    problem.cost = [&](const WidthList& w) {
      const WidthCosts::Cost cost = costs.cost(w);
      return NetworkCost{.latency_ms = cost.ms, .params = cost.params};
    };
  }
  options.policy = StepPolicy::fill;
  std::vector<WidthList> found;
  for (const WideningCriterion criterion :
       {WideningCriterion::plain, WideningCriterion::per_latency, WideningCriterion::per_param}) {
    options.criterion = criterion;
    found.push_back(widen(problem, budget, options).widths());
  }
  return found;
}

}  // namespace

double width_gain(const ImportanceLaw& law, std::int64_t from, std::int64_t to) {
  double sum = 0;
  for (std::int64_t c = from + 1; c <= to; ++c) sum += law(static_cast<double>(c));
  return sum;
}

double total_gain(std::span<const ImportanceLaw> laws, const WidthList& from, const WidthList& to) {
  double sum = 0;
  for (std::size_t l = 0; l < laws.size(); ++l) sum += width_gain(laws[l], from[l], to[l]);
  return sum;
}

std::optional<WidthOptimum> width_optimum(const Architecture& baseline,
                                          std::span<const ImportanceLaw> laws,
                                          const LatencyModel& model, const Budget& budget,
                                          const WideningOptions& options, const WidthList& plan) {
  const WideningProblem problem = widening_problem(baseline, laws, model, options);
  validate(problem, budget, options);
  if (!WidthCosts::possible(baseline)) return std::nullopt;
  const WidthCosts costs(baseline, model);
  OptimumProblem p(problem, costs, budget, options);
  if (!p.find_states(plan)) return std::nullopt;
  p.fill_tables();
  std::vector<States> known;
  std::vector<WidthList> found = greedy(problem, costs, budget, options);
  if (!plan.empty()) found.push_back(plan);
  for (const WidthList& widths : found) {
    if (const std::optional<States> states = p.states_of(widths)) known.push_back(*states);
  }
  const BestChoice best = best_choice(p.choice(), known);
  WidthOptimum optimum{.widths = p.widths_of(best.states), .proven = best.proven};
  optimum.gain = total_gain(laws, problem.widths, optimum.widths);
  optimum.bound = best.proven ? optimum.gain : std::max(best.bound, optimum.gain);
  return optimum;
}

ScalingPlan with_gap(ScalingPlan plan, const Architecture& baseline,
                     std::span<const ImportanceLaw> laws, const LatencyModel& model) {
  if (!plan.feasible()) return plan;
  const WidthList after = plan.result.widths();
  const std::optional<WidthOptimum> optimum =
      width_optimum(baseline, laws, model, plan.budget, plan.options, after);
  if (optimum) plan.optimality = optimum->gap_of(total_gain(laws, widths(baseline), after));
  return plan;
}

}  // namespace hac
