#pragma once
// The statistics of a few measured values: quantiles of times, 95 % intervals of accuracies, and
// tests of what they differ by.

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/io/named_fields.h"

namespace hac {

// What was not measured.
inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
inline bool known(double value) { return std::isfinite(value); }

// Between the two nearest values, linearly; of the middle two, the mean. Values must not be empty.
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);
double mean(std::span<const double> values);
// Less their mean, and of length 1; NaN where all are equal.
std::vector<double> standardized(std::vector<double> values);
// 1 - SSres / SStot; `flat` where all measured values are equal.
double r_squared(std::span<const double> measured, std::span<const double> residuals, double flat);

struct LatencyStats {
  double mean = 0, median = 0, p95 = 0, min = 0;  // milliseconds
  double p10 = 0, p90 = 0;
  double spread = 0;  // (p90 - p10) / median
  double drift = 0;   // median of the last third / median of the first third - 1
  int runs = 0;
  int disturbed = 0;  // of the runs: those that had to wait for a core (steadiness.h)
  int repeated = 0;   // taken again for that reason

  Fields fields() {
    return HAC_FIELDS(mean, median, p95, min)
        .add("p10", p10, {.optional = true})
        .add("p90", p90, {.optional = true})
        .add(HAC_FIELDS(spread, drift, runs, disturbed, repeated));
  }
  // At most a tenth of the runs were disturbed, which a median does not feel.
  bool steady() const { return disturbed * 10 <= runs; }
};

// values: milliseconds in the order they were taken. Throws ConfigError when empty.
LatencyStats summarize(std::span<const double> values);
// 95 % of the median, as a fraction of it: of a normal distribution its standard error is
// sqrt(pi / 2) sigma / sqrt(runs), and p90 - p10 = 2.563 sigma. Unknown where nothing was run.
double median_error(const LatencyStats& ms);

struct Interval {
  double mean = 0, low = 0, high = 0;  // 95 %
};
// Student's t over repeated runs; that of a single value is infinite. Throws ConfigError for none.
Interval interval95(std::span<const double> values);
// Wilson's score interval (1927) of a fraction p of correct answers over n test images, z = 1.96:
//   (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
// It stays within [0, 1] and is not empty at p = 0 and 1. Throws ConfigError: no images, or p
// outside [0, 1].
Interval interval95(double fraction, std::int64_t n);

// Two-sided: P(|T| >= |t|) of Student's distribution, I_x(freedom / 2, 1 / 2) at
// x = freedom / (freedom + t^2). Throws ConfigError unless freedom > 0.
double student_p(double t, double freedom);

// Student's t test of a mean that is zero where nothing differs, as of differences of pairs.
struct MeanTest {
  Interval mean;       // 95 %
  double p = unknown;  // two-sided; unknown without a spread, which would say that nothing is noise
  int n = 0;
};
MeanTest mean_test(std::span<const double> values);  // at least two, else ConfigError
// a[i] - b[i], both of the same seed. Throws ConfigError: not as many of both, or less than two.
MeanTest paired_test(std::span<const double> a, std::span<const double> b);

// Holm's step-down correction (1979) of a family of p-values, in their order: with m of them, the
// i-th smallest becomes max over j <= i of min(1, (m - j + 1) p_j). Unknown ones are no members.
std::vector<double> holm(std::span<const double> p);

// Pearson's correlation; NaN where one of them has one value only. Throws ConfigError: not one
// size.
double pearson(std::span<const double> x, std::span<const double> y);

// Spearman's rank correlation of x and y in each of several blocks of the same items, averaged, and
// the share of all orders of the items that give one at least as far from 0: two-sided and exact up
// to 8 items, of 100,000 random orders beyond (at least 1 in 100,001). Ties have their mean rank.
// NaN where a block has one value only. Throws ConfigError: no block, or not one size.
struct RankCorrelation {
  double rho = unknown, p = unknown;
};
RankCorrelation spearman(std::span<const std::vector<double>> x,
                         std::span<const std::vector<double>> y);

}  // namespace hac
