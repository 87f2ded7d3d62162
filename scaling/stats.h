#pragma once
// The statistics of a few measured values: quantiles of times, 95 % intervals of accuracies.

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

// What was not measured.
inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
inline bool known(double value) { return std::isfinite(value); }

// Between the two nearest values, linearly; of the middle two, the mean. Values must not be empty.
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);
double mean(std::span<const double> values);
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
    return Fields()
        .add("mean", mean)
        .add("median", median)
        .add("p95", p95)
        .add("min", min)
        .add("p10", p10, {.optional = true})
        .add("p90", p90, {.optional = true})
        .add("spread", spread)
        .add("drift", drift)
        .add("runs", runs)
        .add("disturbed", disturbed)
        .add("repeated", repeated);
  }
  // At most a tenth of the runs were disturbed, which a median does not feel.
  bool steady() const { return disturbed * 10 <= runs; }
};

// values: milliseconds in the order they were taken. Throws ConfigError when empty.
LatencyStats summarize(std::span<const double> values);

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

}  // namespace hac
