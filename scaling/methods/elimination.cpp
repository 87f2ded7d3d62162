#include "scaling/methods/elimination.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <set>

namespace hac {

namespace {

// Adds the rows, whose states are those of one variable, into `sum`.
void add_rows(const std::vector<const double*>& rows, std::vector<double>& sum) {
  std::copy_n(rows[0], sum.size(), sum.begin());
  for (std::size_t r = 1; r < rows.size(); ++r) {
    const double* row = rows[r];
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += row[i];
  }
}

double largest(const std::vector<double>& values) {
  // Four lanes, as a maximum waits for the one before it.
  std::array<double, 4> best;
  best.fill(-std::numeric_limits<double>::infinity());
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      best[lane] = best[lane] > values[i + lane] ? best[lane] : values[i + lane];
    }
  }
  double most = std::max({best[0], best[1], best[2], best[3]});
  for (; i < values.size(); ++i) most = std::max(most, values[i]);
  return most;
}

// The step of each variable in a table of this layout; 0 where it has none of it.
std::vector<std::size_t> strides(const std::vector<int>& layout, const std::vector<int>& sizes) {
  std::vector<std::size_t> of(sizes.size(), 0);
  std::size_t stride = 1;
  for (auto v = layout.rbegin(); v != layout.rend(); ++v) {
    of[*v] = stride;
    stride *= sizes[*v];
  }
  return of;
}

std::size_t entries(const std::vector<int>& layout, const std::vector<int>& sizes) {
  std::size_t product = 1;
  for (const int v : layout) product *= sizes[v];
  return product;
}

// Counts the states of these variables up, the last fastest; false after the last.
bool next(std::vector<int>& states, const std::vector<int>& variables,
          const std::vector<int>& sizes) {
  for (auto v = variables.rbegin(); v != variables.rend(); ++v) {
    if (++states[*v] < sizes[*v]) return true;
    states[*v] = 0;
  }
  return false;
}

}  // namespace

Elimination::Elimination(const std::vector<int>& sizes, const std::vector<std::vector<int>>& scopes)
    : sizes_(sizes), layout_(scopes), given_(scopes) {
  std::vector<bool> used(scopes.size(), false);
  std::set<int> left;
  for (int v = 0; v < std::ssize(sizes); ++v) left.insert(v);
  const auto scope_of = [&](int v) {
    std::set<int> all{v};
    for (std::size_t t = 0; t < layout_.size(); ++t) {
      const auto& scope = layout_[t];
      const bool has = std::find(scope.begin(), scope.end(), v) != scope.end();
      if (!used[t] && has) all.insert(scope.begin(), scope.end());
    }
    return std::vector<int>(all.begin(), all.end());
  };
  const auto size_of = [&](int v) {
    double product = 1;
    for (const int u : scope_of(v)) product *= sizes[u];
    return product;
  };
  while (!left.empty()) {
    const int v = *std::min_element(left.begin(), left.end(),
                                    [&](int a, int b) { return size_of(a) < size_of(b); });
    work_ += size_of(v);
    std::vector<int> rest = scope_of(v);
    std::erase(rest, v);
    Step step{.variable = v, .inputs = {}};
    for (int t = 0; t < std::ssize(layout_); ++t) {
      const auto at = std::find(layout_[t].begin(), layout_[t].end(), v);
      if (used[t] || at == layout_[t].end()) continue;
      used[t] = true;
      std::rotate(at, at + 1, layout_[t].end());
      step.inputs.push_back(t);
    }
    steps_.push_back(std::move(step));
    layout_.push_back(std::move(rest));
    used.push_back(false);
    left.erase(v);
  }
}

MaxSum::MaxSum(const Elimination& elimination, const std::vector<std::vector<double>>& tables)
    : e_(elimination), values_(e_.layout_.size()) {
  std::vector<int> states(e_.sizes_.size(), 0);
  for (std::size_t t = 0; t < tables.size(); ++t) {
    const std::vector<int>& scope = e_.given_[t];
    if (scope == e_.layout_[t]) {
      values_[t] = tables[t];
      continue;
    }
    values_[t].resize(tables[t].size());
    const std::vector<std::size_t> to = strides(e_.layout_[t], e_.sizes_);
    std::size_t from = 0;
    do {
      std::size_t at = 0;
      for (const int v : scope) at += to[v] * states[v];
      values_[t][at] = tables[t][from++];
    } while (next(states, scope, e_.sizes_));
  }
  for (int s = 0; s < depths(); ++s) eliminate(s);
}

void MaxSum::eliminate(int s) {
  const Elimination::Step& step = e_.steps_[s];
  const std::size_t message = e_.given_.size() + s;
  const std::vector<int>& rest = e_.layout_[message];
  std::vector<std::vector<std::size_t>> by;
  for (const int t : step.inputs) {
    by.push_back(strides(e_.layout_[t], e_.sizes_));
    by.back()[step.variable] = 0;
  }
  values_[message].resize(entries(rest, e_.sizes_));
  std::vector<double> sum(e_.sizes_[step.variable]);
  std::vector<const double*> rows(step.inputs.size());
  std::vector<int> states(e_.sizes_.size(), 0);
  std::size_t at = 0;
  do {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] = values_[step.inputs[i]].data();
      for (const int v : rest) rows[i] += by[i][v] * states[v];
    }
    add_rows(rows, sum);
    values_[message][at++] = largest(sum);
  } while (next(states, rest, e_.sizes_));
  if (rest.empty()) best_ += values_[message][0];
}

void MaxSum::scores(int depth, const std::vector<int>& states, std::vector<double>& out) const {
  const Elimination::Step& from = step(depth);
  out.resize(e_.sizes_[from.variable]);
  std::vector<const double*> rows;
  for (const int t : from.inputs) {
    std::size_t stride = 1, offset = 0;
    for (auto v = e_.layout_[t].rbegin(); v != e_.layout_[t].rend(); ++v) {
      if (*v != from.variable) offset += stride * states[*v];
      stride *= e_.sizes_[*v];
    }
    rows.push_back(values_[t].data() + offset);
  }
  add_rows(rows, out);
}

std::vector<int> MaxSum::argmax() const {
  std::vector<int> states(e_.sizes_.size(), 0);
  std::vector<double> of_each;
  for (int depth = 0; depth < depths(); ++depth) {
    scores(depth, states, of_each);
    states[variable(depth)] =
        static_cast<int>(std::max_element(of_each.begin(), of_each.end()) - of_each.begin());
  }
  return states;
}

}  // namespace hac
