// Tests of what values differ by, against closed forms and published examples.

#include <cmath>
#include <numbers>

#include "scaling/stats.h"
#include "tests/support/messages.h"

namespace hac {
namespace {

// The closed forms of Student's distribution for 1 to 4 degrees of freedom.
TEST(Stats, StudentHasItsClosedForms) {
  using std::numbers::pi;
  for (const double t : {0.0, 1e-6, 0.3, 1.0, 2.5, 4.303, 12.7, 200.0, 1e6}) {
    const double root3 = t / std::sqrt(3.0), s = t / std::sqrt(4 + t * t);
    EXPECT_NEAR(student_p(t, 1), 1 - 2 / pi * std::atan(t), 1e-13) << t;
    EXPECT_NEAR(student_p(t, 2), 1 - t / std::sqrt(2 + t * t), 1e-13) << t;
    EXPECT_NEAR(student_p(t, 3), 1 - 2 / pi * (std::atan(root3) + root3 / (1 + t * t / 3)), 1e-13)
        << t;
    EXPECT_NEAR(student_p(t, 4), 1 - s * (1 + 2 / (4 + t * t)), 1e-13) << t;
    EXPECT_EQ(student_p(t, 7), student_p(-t, 7));
  }
  // The tables' two-sided 5 % points.
  for (const auto& [freedom, t] : {std::pair{5, 2.571}, {10, 2.228}, {30, 2.042}, {120, 1.980}}) {
    EXPECT_NEAR(student_p(t, freedom), 0.05, 5e-5) << freedom;
  }
  EXPECT_NEAR(student_p(1.959964, 1e7), 0.05, 1e-7);  // the normal distribution
  EXPECT_ERROR(student_p(1, 0), ConfigError, "degrees of freedom");
}

// Student's own example (1908, the sleep of ten patients); R's t.test prints t = -4.0621, df = 9,
// p = 0.002833, a mean of -1.58 and an interval of -2.4598858 to -0.7001142.
TEST(Stats, PairedTestIsThatOfStudentsExample) {
  const std::vector<double> a{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const std::vector<double> b{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  const MeanTest test = paired_test(a, b);
  EXPECT_EQ(test.n, 10);
  EXPECT_NEAR(test.mean.mean, -1.58, 1e-12);
  EXPECT_NEAR(test.mean.low, -2.4598858, 2e-4);  // interval95 has three decimals of the quantile
  EXPECT_NEAR(test.mean.high, -0.7001142, 2e-4);
  EXPECT_NEAR(test.p, 0.002833, 5e-7);
}

TEST(Stats, PairedTestOfThreeByHand) {  // differences 1, 2, 3: mean 2, error 1 / sqrt(3)
  const MeanTest test = paired_test(std::vector<double>{2, 4, 6}, std::vector<double>{1, 2, 3});
  const double t = 2 * std::sqrt(3.0);
  EXPECT_NEAR(test.p, 1 - t / std::sqrt(2 + t * t), 1e-13);  // 0.0742
  EXPECT_NEAR(test.mean.low, 2 - 4.303 / std::sqrt(3.0), 1e-12);
}

TEST(Stats, WithoutASpreadNothingIsTold) {
  const MeanTest same =
      paired_test(std::vector<double>{.6, .7, .8}, std::vector<double>{.5, .6, .7});
  EXPECT_FALSE(known(same.p));
  EXPECT_FALSE(known(mean_test(std::vector<double>{0, 0, 0}).p));
  EXPECT_ERROR(mean_test(std::vector<double>{1}), ConfigError, "at least two");
  EXPECT_ERROR(paired_test(std::vector<double>{1, 2}, std::vector<double>{1}), ConfigError,
               "expected pairs, got 2 and 1");
}

// R: p.adjust(c(.01, .04, .03, .005), "holm") is 0.03 0.06 0.06 0.02.
TEST(Stats, HolmIsThatOfR) {
  const std::vector<double> p = holm(std::vector<double>{.01, .04, .03, .005});
  const double expected[] = {.03, .06, .06, .02};
  ASSERT_EQ(p.size(), 4U);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(p[i], expected[i], 1e-15);
  EXPECT_EQ(holm(std::vector<double>{.7, .8}), (std::vector<double>{1, 1}));
  const std::vector<double> some = holm(std::vector<double>{unknown, .02, .5});
  EXPECT_FALSE(known(some[0]));  // and of a family of two
  EXPECT_EQ(some[1], .04);
}

// Anscombe's first set (1973), whose correlation is 0.81642.
TEST(Stats, PearsonOfAnscombesFirstSet) {
  const std::vector<double> x = {10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5};
  const std::vector<double> y = {8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68};
  EXPECT_NEAR(pearson(x, y), 0.81642, 5e-6);
  EXPECT_FALSE(known(pearson(std::vector{1.0, 1.0}, std::vector{1.0, 2.0})));
  EXPECT_ERROR(pearson(x, std::vector{1.0}), ConfigError, "11 and 1 values");
}

RankCorrelation spearman_of(const std::vector<double>& x, const std::vector<double>& y) {
  return spearman({&x, 1}, {&y, 1});
}

TEST(Stats, SpearmanOfFewIsExact) {
  const RankCorrelation same = spearman_of({1, 2, 3, 4, 5}, {2, 4, 8, 16, 32});
  EXPECT_NEAR(same.rho, 1, 1e-12);
  EXPECT_NEAR(same.p, 2.0 / 120, 1e-12);  // this order and its reverse
  // One neighbouring swap: 1 - 6 * 2 / 60. Of 24 orders one has 1 and three 0.8; both ways.
  const RankCorrelation swapped = spearman_of({1, 2, 3, 4}, {1, 3, 2, 4});
  EXPECT_NEAR(swapped.rho, 0.8, 1e-12);
  EXPECT_NEAR(swapped.p, 8.0 / 24, 1e-12);
  // Ties have their mean rank: ranks 1, 2.5, 2.5, 4 against 1 to 4 give 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(spearman_of({1, 2, 2, 3}, {1, 2, 3, 4}).rho, 4.5 / std::sqrt(22.5), 1e-12);
  EXPECT_FALSE(known(spearman_of({1, 1, 1}, {1, 2, 3}).rho));
  EXPECT_ERROR(spearman_of({1, 2}, {1}), ConfigError, "expected 2 items");
}

// IQ against hours of television, the worked example of Wikipedia: rho = -29 / 165, and
// p = 0.6272 by Student's approximation.
TEST(Stats, SpearmanOfManyIsThatOfAPublishedExample) {
  const RankCorrelation r = spearman_of({106, 100, 86, 101, 99, 103, 97, 113, 112, 110},
                                        {7, 27, 2, 50, 28, 29, 20, 12, 6, 17});
  EXPECT_NEAR(r.rho, -29.0 / 165, 1e-12);
  EXPECT_NEAR(r.p, 0.627, 0.02);
}

TEST(Stats, SpearmanOfBlocksShufflesTheItemsInAllOfThem) {
  const std::vector<std::vector<double>> x{{1, 2, 3, 4}, {1, 2, 3, 4}},
      y{{1, 2, 3, 4}, {4, 3, 2, 1}};
  EXPECT_NEAR(spearman(x, y).rho, 0, 1e-12);
  EXPECT_NEAR(spearman(x, y).p, 1, 1e-12);
  // Twice the same block is no more evidence than once.
  EXPECT_NEAR(spearman(x, x).p, 2.0 / 24, 1e-12);
}

TEST(Stats, MedianErrorIsThatOfANormalDistribution) {
  LatencyStats ms{.median = 4, .spread = 2.5631031310892, .runs = 100};  // sigma = the median
  EXPECT_NEAR(median_error(ms), 1.96 * 1.2533141 / 10, 1e-6);
  ms.runs = 0;
  EXPECT_FALSE(known(median_error(ms)));
}

}  // namespace
}  // namespace hac
