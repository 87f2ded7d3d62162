#include "scaling/paper/witness.h"

#include <fmt/format.h>

// Scalar code: GCC 12 warns about Eigen's AVX-512.
#define EIGEN_DONT_VECTORIZE
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/core/error.h"
#include "models/zoo/zoo.h"

namespace hac {
namespace {

constexpr std::int64_t stride = 10;
constexpr int starts = 2000, few_starts = 200;
constexpr double near = 1e-3;  // in params and operations together, relative

using Pair = Eigen::Array2d;  // parameters and operations, exact below 2^53

// Both counts of widths C + 10 k: base + sum_i slope_i k_i + sum_{i<=j} curve_ij k_i k_j.
class QuadraticCounts {
 public:
  explicit QuadraticCounts(const Architecture& arch)
      : arch_(arch), groups_(residual_groups(arch)), n_(groups_.size()), curve_(n_ * n_) {
    base_ = counted({});
    std::vector<Pair> once;
    for (std::size_t i = 0; i < n_; ++i) {
      once.push_back(counted({i}));
      at(i, i) = (counted({i, i}) - 2 * once[i] + base_) / 2;
      slope_.push_back(once[i] - base_ - at(i, i));
      for (std::size_t j = 0; j < i; ++j) {
        at(i, j) = at(j, i) = counted({i, j}) - once[i] - once[j] + base_;
      }
    }
  }

  std::size_t size() const { return n_; }
  const Pair& base() const { return base_; }
  const Pair& curve(std::size_t i, std::size_t j) const { return curve_[i * n_ + j]; }
  // By which the counts grow where k_i does, at k, to first order.
  Pair gradient(std::size_t i, const std::vector<std::int64_t>& k) const {
    Pair g = slope_[i];
    for (std::size_t j = 0; j < n_; ++j) {
      g += static_cast<double>(i == j ? 2 * k[j] : k[j]) * curve(i, j);
    }
    return g;
  }
  Architecture network(const std::vector<std::int64_t>& k) const {
    std::vector<std::int64_t> wide = widths(arch_);
    for (std::size_t i = 0; i < n_; ++i) {
      for (const int layer : groups_[i]) wide[layer] += stride * k[i];
    }
    return with_widths(arch_, wide);
  }

 private:
  Pair& at(std::size_t i, std::size_t j) { return curve_[i * n_ + j]; }
  Pair counted(std::initializer_list<std::size_t> widened) const {
    std::vector<std::int64_t> k(n_, 0);
    for (const std::size_t i : widened) ++k[i];
    const Counters c = count(network(k));
    return {static_cast<double>(c.params), static_cast<double>(c.ops_thop2021)};
  }

  const Architecture& arch_;
  std::vector<std::vector<int>> groups_;
  std::size_t n_;
  Pair base_;
  std::vector<Pair> slope_, curve_;
};

struct Move {
  std::size_t i, j;
  std::int64_t by_i, by_j;
};

// One start: some widths, chosen at random, widened until the parameters are spent, then the best
// change of one or two widths by up to three steps, again and again, until none is nearer.
class Descent {
 public:
  Descent(const QuadraticCounts& counts, const Pair& wanted, std::mt19937_64& random)
      : counts_(counts), wanted_(wanted), k_(counts.size(), 0), now_(counts.base()) {
    std::vector<std::size_t> some;
    while (some.empty()) {
      const std::uint64_t chosen = random();
      for (std::size_t i = 0; i < k_.size(); ++i) {
        if ((chosen >> (i % 64)) & 1) some.push_back(i);
      }
    }
    while (now_[0] < wanted_[0]) {
      const std::size_t i = some[random() % some.size()];
      apply({i, i, 1, 0});
    }
  }

  bool found() const {
    return agrees(wanted_[0] * 1e-6, now_[0] * 1e-6) && agrees(wanted_[1] * 1e-6, now_[1] * 1e-6);
  }
  const std::vector<std::int64_t>& steps() const { return k_; }

  double distance() const { return distance(now_); }

  bool improve() {
    std::vector<Pair> g;
    for (std::size_t i = 0; i < k_.size(); ++i) g.push_back(counts_.gradient(i, k_));
    std::optional<Move> best;
    double least = distance(now_);
    const auto offer = [&](const Move& m, const Pair& value) {
      if (const double d = distance(value); d < least) least = d, best = m;
    };
    for (std::size_t i = 0; i < k_.size(); ++i) {
      for (std::int64_t a = -most; a <= most; ++a) {
        if (a == 0 || k_[i] + a < 0) continue;
        const Pair one = moved(now_, i, a, g[i]);
        offer({i, i, a, 0}, one);
        for (std::size_t j = 0; j < i; ++j) {
          for (std::int64_t b = -most; b <= most; ++b) {
            if (b == 0 || k_[j] + b < 0) continue;
            const Pair both = static_cast<double>(a * b) * counts_.curve(i, j);
            offer({i, j, a, b}, moved(one, j, b, g[j]) + both);
          }
        }
      }
    }
    if (best) apply(*best);
    return best.has_value();
  }

 private:
  static constexpr std::int64_t most = 3;

  double distance(const Pair& value) const { return (value / wanted_ - 1).abs().sum(); }
  Pair moved(const Pair& value, std::size_t i, std::int64_t by, const Pair& gradient) const {
    const auto d = static_cast<double>(by);
    return value + d * gradient + d * d * counts_.curve(i, i);
  }
  void apply(const Move& m) {
    now_ = moved(now_, m.i, m.by_i, counts_.gradient(m.i, k_));
    k_[m.i] += m.by_i;
    if (m.by_j == 0) return;
    now_ = moved(now_, m.j, m.by_j, counts_.gradient(m.j, k_));
    k_[m.j] += m.by_j;
  }

  const QuadraticCounts& counts_;
  Pair wanted_;
  std::vector<std::int64_t> k_;
  Pair now_;
};

}  // namespace

std::optional<Architecture> find_witness(const Architecture& baseline, std::int64_t resolution,
                                         double params, double ops) {
  const Architecture arch = with_resolution(baseline, resolution);
  const QuadraticCounts counts(arch);
  const Pair wanted{params * 1e6, ops * 1e6};
  if (counts.base()[0] > wanted[0] || counts.base()[1] > wanted[1]) return std::nullopt;
  std::mt19937_64 random(1);
  double nearest = 1;
  // Where no start came near, none will.
  for (int start = 0; start < starts && (start < few_starts || nearest < near); ++start) {
    Descent descent(counts, wanted, random);
    while (!descent.found() && descent.improve()) {
    }
    if (descent.found()) return counts.network(descent.steps());
    nearest = std::min(nearest, descent.distance());
  }
  return std::nullopt;
}

Witness witness_of(const Table1Row& row) {
  const Architecture baseline = zoo(row.baseline);
  const auto find = [&](std::int64_t resolution) {
    return find_witness(baseline, resolution, row.printed.params, row.printed.ops);
  };
  const std::int64_t r0 = baseline.resolution, q = r0 <= 64 ? 4 : 32;
  std::int64_t inside = r0;
  while (!find(inside)) {
    inside += q;
    if (inside > 4 * r0) {
      throw ConfigError(fmt::format(
          "Table I, {}: expected a network with {} M parameters and {} M operations, found none",
          row.name(), row.printed.params, row.printed.ops));
    }
  }
  // Operations grow with R for the same widths, so what can be met is one range.
  const auto last = [&](std::int64_t yes, std::int64_t no) {
    while (std::abs(no - yes) > 1) {
      const std::int64_t middle = (yes + no) / 2;
      (find(middle) ? yes : no) = middle;
    }
    return yes;
  };
  Witness w{.row = row.name(),
            .lowest = inside == r0 ? r0 : last(inside, inside - q),
            .highest = last(inside, 4 * r0)};
  std::optional<Architecture> arch;
  for (std::int64_t at = (w.lowest + w.highest) / 2 / q * q; !arch; at += q) {
    arch = find(std::clamp(at, w.lowest, w.highest));
  }
  w.resolution = arch->resolution;
  w.widths = widths(*arch);
  const Counters c = count(*arch);
  w.params = c.params;
  w.ops_thop2021 = c.ops_thop2021;
  return w;
}

}  // namespace hac
