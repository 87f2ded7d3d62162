// Non-negative least squares against brute force over every subset of columns.

#include "scaling/latency/nnls.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac {
namespace {

using Rows = std::vector<std::vector<double>>;

double squares(const Rows& a, const std::vector<double>& y, const std::vector<double>& x) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double r = -y[i];
    for (std::size_t j = 0; j < x.size(); ++j) r += a[i][j] * x[j];
    sum += r * r;
  }
  return sum;
}

// Solves the normal equations over a subset of columns by Gauss elimination with pivoting.
std::vector<double> solve_subset(const Rows& a, const std::vector<double>& y, unsigned subset) {
  const std::size_t n = a[0].size();
  std::vector<std::size_t> columns;
  for (std::size_t j = 0; j < n; ++j) {
    if (subset >> j & 1) columns.push_back(j);
  }
  const std::size_t m = columns.size();
  Rows g(m, std::vector<double>(m + 1, 0));
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t p = 0; p < m; ++p) {
      for (std::size_t q = 0; q < m; ++q) g[p][q] += a[i][columns[p]] * a[i][columns[q]];
      g[p][m] += a[i][columns[p]] * y[i];
    }
  }
  for (std::size_t p = 0; p < m; ++p) {
    std::size_t pivot = p;
    for (std::size_t q = p; q < m; ++q) {
      if (std::abs(g[q][p]) > std::abs(g[pivot][p])) pivot = q;
    }
    std::swap(g[p], g[pivot]);
    for (std::size_t q = 0; q < m; ++q) {
      if (q == p) continue;
      const double f = g[q][p] / g[p][p];
      for (std::size_t c = p; c <= m; ++c) g[q][c] -= f * g[p][c];
    }
  }
  std::vector<double> x(n, 0);
  for (std::size_t p = 0; p < m; ++p) x[columns[p]] = g[p][m] / g[p][p];
  return x;
}

TEST(Nnls, AgreesWithEverySubset) {
  int bound = 0;  // how often a constraint binds
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Philox random{seed, 7};
    const std::size_t n = 1 + random.below(0, 5), m = n + random.below(1, 6);
    Rows a(m, std::vector<double>(n));
    std::vector<double> y(m);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) a[i][j] = random.normal(100 + i * n + j);
      y[i] = random.normal(1000 + i);
    }
    double best = squares(a, y, std::vector<double>(n, 0));
    for (unsigned subset = 1; subset < 1u << n; ++subset) {
      const std::vector<double> x = solve_subset(a, y, subset);
      if (std::all_of(x.begin(), x.end(), [](double v) { return v >= 0; })) {
        best = std::min(best, squares(a, y, x));
      }
    }
    const std::vector<double> x = nnls(a, y);
    for (const double v : x) {
      EXPECT_GE(v, 0);
      bound += v == 0;
    }
    EXPECT_NEAR(squares(a, y, x), best, 1e-9 * (1 + best)) << "seed " << seed;
  }
  EXPECT_GT(bound, 50);
}

TEST(Nnls, DependentColumnsAndZeros) {
  const Rows a = {{1, 2, 0}, {2, 4, 0}, {3, 6, 0}};
  const std::vector<double> x = nnls(a, {1, 2, 3});
  EXPECT_NEAR(x[0] + 2 * x[1], 1, 1e-12);
  EXPECT_EQ(x[2], 0);
  EXPECT_EQ(nnls(a, {0, 0, 0}), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(nnls(a, {-1, -1, -1}), (std::vector<double>{0, 0, 0}));
  EXPECT_THROW(nnls({}, {}), ConfigError);
  EXPECT_THROW(nnls({{1, 2}, {1}}, {1, 2}), ConfigError);
  EXPECT_THROW(nnls({{NAN}}, {1}), ConfigError);
}

}  // namespace
}  // namespace hac
