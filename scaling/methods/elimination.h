#pragma once
// The largest sum of tables over few variables each, by bucket elimination (Dechter 1999): variable
// by variable, the tables that have it are added and only the largest over its states is kept, a
// table over their other variables. On a chain this is Viterbi's algorithm.

#include <vector>

namespace hac {

class Elimination {
 public:
  // `sizes`: states of each variable. `scopes`: variables of each table, ascending; every variable
  // in at least one. Eliminates next whichever variable makes the smallest table of all its sums.
  Elimination(const std::vector<int>& sizes, const std::vector<std::vector<int>>& scopes);

  double work() const { return work_; }  // additions of one pass

 private:
  friend class MaxSum;
  struct Step {
    int variable;
    std::vector<int> inputs;  // tables: those given, then the message of each step
  };
  std::vector<int> sizes_;
  std::vector<Step> steps_;
  // Variables of each table in the order in which it is laid out here, the last varying fastest:
  // the one that it is eliminated by.
  std::vector<std::vector<int>> layout_;
  std::vector<std::vector<int>> given_;
  double work_ = 0;
};

// One pass with values; `tables` are row-major over the scopes. The elimination must outlive it.
class MaxSum {
 public:
  MaxSum(const Elimination& elimination, const std::vector<std::vector<double>>& tables);

  double best() const { return best_; }
  std::vector<int> argmax() const;

  // For a search that settles variables in the order opposite to elimination, depth 0 first.
  // What is best for each state of the variable at this depth, in a sum over the tables that it is
  // eliminated from; `states` has the variables settled before. best() minus the largest of these
  // plus one of them is the best total with that state.
  int depths() const { return static_cast<int>(e_.steps_.size()); }
  int variable(int depth) const { return step(depth).variable; }
  void scores(int depth, const std::vector<int>& states, std::vector<double>& out) const;

 private:
  const Elimination::Step& step(int depth) const { return e_.steps_[depths() - 1 - depth]; }
  void eliminate(int step);

  const Elimination& e_;
  std::vector<std::vector<double>> values_;  // as laid out
  double best_ = 0;
};

}  // namespace hac
