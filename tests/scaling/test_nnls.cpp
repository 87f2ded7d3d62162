// Non-negative least squares by what makes an answer the best one.

#include "scaling/latency/nnls.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac {
namespace {

using Rows = std::vector<std::vector<double>>;

// Karush, Kuhn and Tucker's conditions, which are enough, as a sum of squares is convex: along no
// column would more of it gain, nor less where there is some.
TEST(Nnls, MeetsTheConditionsOfTheOptimum) {
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
    const std::vector<double> x = nnls(a, y);
    ASSERT_EQ(x.size(), n);
    std::vector<double> left = y;
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) left[i] -= a[i][j] * x[j];
    }
    for (std::size_t j = 0; j < n; ++j) {
      double gain = 0;
      for (std::size_t i = 0; i < m; ++i) gain += a[i][j] * left[i];
      EXPECT_GE(x[j], 0);
      EXPECT_LE(x[j] > 0 ? std::abs(gain) : gain, 1e-9) << "seed " << seed << " column " << j;
      bound += x[j] == 0;
    }
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
