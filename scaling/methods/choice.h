#pragma once
// The best state of every variable under two limits: maximise a sum of gains, one a variable, while
// the costs, sums of tables over few variables each, stay within their limits. NP-hard as every
// knapsack; solved as AOWS (Berman et al., CVPR 2020) chooses widths, by Lagrangian relaxation,
//
//   D(l, m) = max over states of  gain - l (ms / ms_limit - 1) - m (params / params_limit - 1),
//
// an upper bound of every feasible gain for all l, m >= 0. Each D is one elimination (Viterbi on a
// chain); the least is found by cutting planes (Kelley 1960), and every maximum on the way that is
// feasible is completed by the best changes of one variable. What is between it and the bound is
// then searched by branch and bound, each branch bounded by the elimination's own messages: if that
// ends before its limit of nodes, the choice is proven to be the optimum.

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace hac {

using States = std::vector<int>;  // one a variable

struct ChoiceProblem {
  std::vector<std::vector<double>> gains;       // of each variable's states, >= 0
  std::vector<std::vector<int>> scopes;         // variables of each table, ascending
  std::vector<std::vector<double>> ms, params;  // of each table, row-major
  double ms_limit = std::numeric_limits<double>::infinity();
  double params_limit = std::numeric_limits<double>::infinity();
  // Asked of states that are within both, for what is no sum of tables; null: all are allowed.
  std::function<bool(const States&)> allows = {};

  double work() const;     // additions of one elimination
  double entries() const;  // of all tables, full or not yet
};

struct BestChoice {
  States states;
  double gain = 0;
  double bound = 0;     // no feasible states gain more
  bool proven = false;  // these are an optimum, and bound == gain
};

// `known` are states to start from, of which those within the limits count. State 0 of all
// variables must be. Deterministic: the search is limited in nodes, not in time; what `allows`
// refuses counts for several of them.
BestChoice best_choice(const ChoiceProblem& problem, const std::vector<States>& known = {},
                       std::int64_t nodes = 200000);

}  // namespace hac
