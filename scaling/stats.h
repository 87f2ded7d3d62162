#pragma once
// The statistics of a few measured values: quantiles of times, 95 % intervals of accuracies.

#include <cstdint>
#include <span>
#include <vector>

namespace hac {

// Between the two nearest values, linearly; of the middle two, the mean. Values must not be empty.
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);

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
