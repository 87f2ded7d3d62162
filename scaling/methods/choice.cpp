#include "scaling/methods/choice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "scaling/methods/elimination.h"

namespace hac {

namespace {

constexpr int kMostCuts = 80;
constexpr double kRounding = 1e-11;  // of sums that should be equal
// Nodes that a refusal of ChoiceProblem::allows counts for, which has a whole network built.
constexpr std::int64_t kRefusal = 5;

using Multipliers = std::array<double, 2>;

// What states gain and cost, in parts of the limits.
struct Total {
  double gain = 0;
  Multipliers cost{};
  bool within() const { return cost[0] <= 1 + kRounding && cost[1] <= 1 + kRounding; }
  double at(const Multipliers& m) const {
    return gain + m[0] * (1 - cost[0]) + m[1] * (1 - cost[1]);
  }
};

// The multipliers >= 0 at which the largest of the cuts is least: a vertex, where two or three of
// the planes cuts and m_i = 0 meet.
class CuttingPlanes {
 public:
  void add(const Total& cut) { cuts_.push_back(cut); }
  double model(const Multipliers& m) const {
    double most = 0;
    for (const Total& cut : cuts_) most = std::max(most, cut.at(m));
    return most;
  }

  Multipliers least() {
    best_ = {};
    value_ = model(best_);
    const std::size_t n = cuts_.size();
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        try_axis(cuts_[i], cuts_[j], 0);
        try_axis(cuts_[i], cuts_[j], 1);
        for (std::size_t k = 0; k < j; ++k) try_vertex(cuts_[i], cuts_[j], cuts_[k]);
      }
    }
    return best_;
  }

 private:
  void consider(const Multipliers& m) {
    if (!(m[0] >= 0 && m[1] >= 0) || !std::isfinite(m[0] + m[1])) return;
    const double value = model(m);
    if (value < value_) best_ = m, value_ = value;
  }
  void try_axis(const Total& a, const Total& b, int axis) {
    Multipliers m{};
    m[axis] = (a.gain - b.gain) / (a.cost[axis] - b.cost[axis]);
    consider(m);
  }
  void try_vertex(const Total& a, const Total& b, const Total& c) {
    const Multipliers ab{a.cost[0] - b.cost[0], a.cost[1] - b.cost[1]};
    const Multipliers ac{a.cost[0] - c.cost[0], a.cost[1] - c.cost[1]};
    const double det = ab[0] * ac[1] - ab[1] * ac[0];
    const double g = a.gain - b.gain, h = a.gain - c.gain;
    consider({(g * ac[1] - h * ab[1]) / det, (ab[0] * h - ac[0] * g) / det});
  }

  std::vector<Total> cuts_;
  Multipliers best_{};
  double value_ = 0;
};

std::vector<std::vector<int>> all_scopes(const ChoiceProblem& p) {
  std::vector<std::vector<int>> scopes = p.scopes;
  for (int v = 0; v < std::ssize(p.gains); ++v) scopes.push_back({v});
  return scopes;
}

std::vector<int> sizes_of(const ChoiceProblem& p) {
  std::vector<int> sizes;
  for (const auto& gains : p.gains) sizes.push_back(static_cast<int>(gains.size()));
  return sizes;
}

class Search {
 public:
  Search(const ChoiceProblem& problem, std::int64_t nodes)
      : p_(problem), e_(sizes_of(problem), all_scopes(problem)), nodes_(nodes) {
    limits_ = {p_.ms_limit, p_.params_limit};
    for (const auto& gains : p_.gains) scale_ += *std::max_element(gains.begin(), gains.end());
    if (scale_ == 0) scale_ = 1;
    tables_of_.resize(p_.gains.size());
    for (int t = 0; t < std::ssize(p_.scopes); ++t) {
      for (const int v : p_.scopes[t]) tables_of_[v].push_back(t);
    }
    best_.states.assign(p_.gains.size(), 0);
  }

  BestChoice run(const std::vector<States>& known) {
    for (const States& states : known) complete(states);
    complete(best_.states);
    relax();
    const bool ended = branch_and_bound();
    best_.proven = ended || best_.gain >= bound_ * (1 - kRounding);
    best_.gain *= scale_;
    best_.bound = best_.proven ? best_.gain : std::max(best_.gain, bound_ * scale_);
    return best_;
  }

 private:
  double part(const std::vector<std::vector<double>>& values, int t, std::size_t at,
              int limit) const {
    return std::isfinite(limits_[limit]) ? values[t][at] / limits_[limit] : 0;
  }

  std::size_t index(int t, const States& states) const {
    std::size_t at = 0;
    for (const int v : p_.scopes[t]) at = at * p_.gains[v].size() + states[v];
    return at;
  }

  void add_table(Total& total, int t, const States& states, double sign) const {
    const std::size_t at = index(t, states);
    total.cost[0] += sign * part(p_.ms, t, at, 0);
    total.cost[1] += sign * part(p_.params, t, at, 1);
  }

  Total total(const States& states) const {
    Total sum;
    for (std::size_t v = 0; v < states.size(); ++v) sum.gain += p_.gains[v][states[v]] / scale_;
    for (int t = 0; t < std::ssize(p_.scopes); ++t) add_table(sum, t, states, 1);
    return sum;
  }

  bool allowed(const States& states) const { return p_.allows == nullptr || p_.allows(states); }

  void consider(const States& states) {
    const Total sum = total(states);
    if (sum.gain <= best_.gain || !sum.within()) return;
    if (!allowed(states)) {
      nodes_ -= kRefusal;
      return;
    }
    best_.states = states;
    best_.gain = sum.gain;
  }

  // The change of one variable that gains the most within the limits, until there is none.
  void complete(States states) {
    Total now = total(states);
    if (!now.within() || !allowed(states)) return;
    std::vector<bool> refused(states.size(), false);
    for (;;) {
      consider(states);
      int variable = -1, state = 0;
      Total most = now;
      for (int v = 0; v < std::ssize(states); ++v) {
        if (refused[v]) continue;
        const int before = states[v];
        for (states[v] = 0; states[v] < std::ssize(p_.gains[v]); ++states[v]) {
          if (now.gain + (p_.gains[v][states[v]] - p_.gains[v][before]) / scale_ <=
              most.gain + kRounding) {
            continue;
          }
          const Total then = changed(now, v, before, states);
          if (then.within()) most = then, variable = v, state = states[v];
        }
        states[v] = before;
      }
      if (variable < 0) return;
      std::swap(states[variable], state);
      if (allowed(states)) {
        now = most;
      } else {
        states[variable] = state;
        refused[variable] = true;
      }
    }
  }

  Total changed(Total sum, int v, int before, States& states) const {
    const int after = states[v];
    sum.gain += (p_.gains[v][after] - p_.gains[v][before]) / scale_;
    for (const int t : tables_of_[v]) add_table(sum, t, states, 1);
    states[v] = before;
    for (const int t : tables_of_[v]) add_table(sum, t, states, -1);
    states[v] = after;
    return sum;
  }

  // gain_weight * gain - m . cost, as tables.
  std::vector<std::vector<double>> weighed(double gain_weight, const Multipliers& m) const {
    std::vector<std::vector<double>> tables;
    for (int t = 0; t < std::ssize(p_.scopes); ++t) {
      std::vector<double> values(p_.ms[t].size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = -m[0] * part(p_.ms, t, i, 0) - m[1] * part(p_.params, t, i, 1);
      }
      tables.push_back(std::move(values));
    }
    for (const std::vector<double>& gains : p_.gains) {
      tables.push_back(gains);
      for (double& g : tables.back()) g *= gain_weight / scale_;
    }
    return tables;
  }

  // The least bound, by multipliers.
  void relax() {
    bound_ = std::numeric_limits<double>::infinity();
    CuttingPlanes planes;
    planes.add(total(States(p_.gains.size(), 0)));
    for (int i = 0; i < kMostCuts; ++i) {
      const Multipliers m = planes.least();
      const MaxSum pass(e_, weighed(1, m));
      const double value = pass.best() + m[0] + m[1];
      if (value < bound_) bound_ = value, multipliers_ = m;
      const States states = pass.argmax();
      complete(states);
      if (bound_ - planes.model(m) <= kRounding * bound_) return;
      planes.add(total(states));
    }
  }

  bool branch_and_bound() {
    passes_.clear();
    passes_.emplace_back(e_, weighed(1, multipliers_));
    std::vector<double> totals{passes_[0].best() + multipliers_[0] + multipliers_[1]};
    for (int i = 0; i < 2; ++i) {
      if (!std::isfinite(limits_[i])) continue;
      Multipliers one{};
      one[i] = 1;
      passes_.emplace_back(e_, weighed(0, one));
      totals.push_back(passes_.back().best());
    }
    States states(p_.gains.size(), 0);
    return branch(0, states, totals);
  }

  // False where the nodes ran out.
  bool branch(int depth, States& states, const std::vector<double>& totals) {
    if (depth == passes_[0].depths()) {
      consider(states);
      return nodes_ >= 0;
    }
    if (--nodes_ < 0) return false;
    const int v = passes_[0].variable(depth);
    std::vector<std::vector<double>> bounds(passes_.size());
    for (std::size_t p = 0; p < passes_.size(); ++p) {
      passes_[p].scores(depth, states, bounds[p]);
      const double most = *std::max_element(bounds[p].begin(), bounds[p].end());
      for (double& b : bounds[p]) b += totals[p] - most;
    }
    std::vector<int> order;
    for (int s = 0; s < std::ssize(p_.gains[v]); ++s) {
      bool within = true;
      for (std::size_t p = 1; p < passes_.size(); ++p) within &= bounds[p][s] >= -1 - kRounding;
      if (within && better(bounds[0][s])) order.push_back(s);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return bounds[0][a] > bounds[0][b]; });
    for (const int s : order) {
      if (!better(bounds[0][s])) break;
      states[v] = s;
      std::vector<double> below;
      for (const std::vector<double>& b : bounds) below.push_back(b[s]);
      if (!branch(depth + 1, states, below)) return false;
    }
    return true;
  }

  bool better(double bound) const { return bound > best_.gain + kRounding * bound_; }

  const ChoiceProblem& p_;
  Elimination e_;
  std::int64_t nodes_;
  std::array<double, 2> limits_{};
  double scale_ = 0;
  std::vector<std::vector<int>> tables_of_;  // each variable
  BestChoice best_;                          // its gain in parts of the scale
  double bound_ = 0;
  Multipliers multipliers_{};
  std::vector<MaxSum> passes_;  // gain less weighed costs; minus the least cost of each kind
};

}  // namespace

double ChoiceProblem::work() const {
  return Elimination(sizes_of(*this), all_scopes(*this)).work();
}

double ChoiceProblem::entries() const {
  double sum = 0;
  for (const std::vector<int>& scope : scopes) {
    double product = 1;
    for (const int v : scope) product *= static_cast<double>(gains[v].size());
    sum += product;
  }
  return sum;
}

BestChoice best_choice(const ChoiceProblem& problem, const std::vector<States>& known,
                       std::int64_t nodes) {
  return Search(problem, nodes).run(known);
}

}  // namespace hac
