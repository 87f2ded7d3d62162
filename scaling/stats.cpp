#include "scaling/stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace hac {
namespace {

// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
constexpr double kNormal = 1.96;  // of the normal distribution
constexpr std::array<double, 30> kStudent = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

// The continued fraction of the incomplete beta function, by Lentz's method (DLMF 8.17.22).
double beta_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300, kPrecision = 1e-15;
  constexpr int kTerms = 1000;
  const auto away = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), value = d;
  for (int m = 1; m <= kTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double step = 1;
    for (const double term : {even, odd}) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      step = c * d;
      value *= step;
    }
    if (std::abs(step - 1) < kPrecision) break;
  }
  return value;
}

// Regularised, I_x(a, b); `rest` is 1 - x, which rounding may have taken from x.
double incomplete_beta(double x, double rest, double a, double b) {
  if (x <= 0 || rest <= 0) return x <= 0 ? 0 : 1;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log(rest));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(x, a, b) / a
                                   : 1 - front * beta_fraction(rest, b, a) / b;
}

double squares_about(std::span<const double> values, double middle) {
  double sum = 0;
  for (const double v : values) sum += (v - middle) * (v - middle);
  return sum;
}

// From 1, standardized.
std::vector<double> standard_ranks(const std::vector<double>& values) {
  std::vector<double> ranks;
  for (const double v : values) {
    const auto less = std::count_if(values.begin(), values.end(), [&](double x) { return x < v; });
    const auto same = std::count(values.begin(), values.end(), v);
    ranks.push_back(static_cast<double>(less) + 0.5 * static_cast<double>(same + 1));
  }
  return standardized(std::move(ranks));
}

// The mean correlation where item i of x stands at order[i].
using Products = std::vector<std::vector<double>>;
double correlation(const Products& products, const std::vector<std::size_t>& order) {
  double sum = 0;
  for (std::size_t i = 0; i < order.size(); ++i) sum += products[order[i]][i];
  return sum;
}

double share_as_far(const Products& products, double rho) {
  constexpr std::size_t kMostExact = 8;
  constexpr int kRandomOrders = 100000;
  std::vector<std::size_t> order(products.size());
  std::iota(order.begin(), order.end(), 0);
  const auto as_far = [&] {
    return std::abs(correlation(products, order)) >= std::abs(rho) - 1e-12;
  };
  double far = 0, all = 0;
  if (order.size() <= kMostExact) {
    do {
      far += as_far();
      ++all;
    } while (std::next_permutation(order.begin(), order.end()));
    return far / all;
  }
  const Philox random{1, 0};
  std::uint64_t drawn = 0;
  for (int k = 0; k < kRandomOrders; ++k) {
    for (std::size_t i = order.size(); i-- > 1;) {
      const auto j = static_cast<std::size_t>(random.uniform(drawn++) * static_cast<double>(i + 1));
      std::swap(order[i], order[std::min(i, j)]);
    }
    far += as_far();
  }
  return (far + 1) / (kRandomOrders + 1);
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> standardized(std::vector<double> values) {
  const double middle = mean(values);
  for (double& v : values) v -= middle;
  const double length =
      std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
  for (double& v : values) v /= length;
  return values;
}

double r_squared(std::span<const double> measured, std::span<const double> residuals, double flat) {
  const double total = squares_about(measured, mean(measured));
  return total > 0 ? 1 - squares_about(residuals, 0) / total : flat;
}

LatencyStats summarize(std::span<const double> values) {
  if (values.empty()) throw ConfigError("latency: expected at least one run, got none");
  const std::vector<double> v(values.begin(), values.end());
  LatencyStats s{.mean = mean(v),
                 .median = median(v),
                 .p95 = quantile(v, 0.95),
                 .min = std::ranges::min(v),
                 .p10 = quantile(v, 0.1),
                 .p90 = quantile(v, 0.9),
                 .runs = static_cast<int>(v.size())};
  s.spread = (s.p90 - s.p10) / s.median;
  const std::size_t third = std::max<std::size_t>(1, v.size() / 3);
  s.drift = median({v.end() - third, v.end()}) / median({v.begin(), v.begin() + third}) - 1;
  return s;
}

double median_error(const LatencyStats& ms) {
  if (ms.runs < 1) return unknown;
  constexpr double kSigmas = 2.5631031310892;  // from the 10th to the 90th percentile
  const double error = std::sqrt(std::numbers::pi / 2) * ms.spread / kSigmas;
  return kNormal * error / std::sqrt(static_cast<double>(ms.runs));
}

Interval interval95(std::span<const double> values) {
  if (values.empty()) throw ConfigError("95 % interval: expected at least one value, got none");
  const auto n = static_cast<double>(values.size());
  const double middle = mean(values);
  constexpr double kUnbounded = std::numeric_limits<double>::infinity();
  if (values.size() == 1) return {middle, -kUnbounded, kUnbounded};
  const std::size_t freedom = values.size() - 1;
  const double t = freedom <= kStudent.size() ? kStudent[freedom - 1] : kNormal;
  const double half = t * std::sqrt(squares_about(values, middle) / (n - 1) / n);
  return {middle, middle - half, middle + half};
}

Interval interval95(double fraction, std::int64_t n) {
  if (n < 1) throw ConfigError(fmt::format("95 % interval: expected images, got {}", n));
  if (!(fraction >= 0 && fraction <= 1)) {
    throw ConfigError(fmt::format("95 % interval: expected a fraction, got {}", fraction));
  }
  const double z2_n = kNormal * kNormal / static_cast<double>(n);
  const double middle = (fraction + z2_n / 2) / (1 + z2_n);
  const double half = std::sqrt(z2_n * (fraction * (1 - fraction) + z2_n / 4)) / (1 + z2_n);
  // Rounding must not move an end across the fraction.
  return {fraction, std::clamp(middle - half, 0.0, fraction),
          std::clamp(middle + half, fraction, 1.0)};
}

double student_p(double t, double freedom) {
  if (!(freedom > 0)) {
    throw ConfigError(
        fmt::format("t test: expected more than 0 degrees of freedom, got {}", freedom));
  }
  const double all = freedom + t * t;
  return incomplete_beta(freedom / all, t * t / all, freedom / 2, 0.5);
}

MeanTest mean_test(std::span<const double> values) {
  if (values.size() < 2) {
    throw ConfigError(fmt::format("t test: expected at least two values, got {}", values.size()));
  }
  const auto n = static_cast<double>(values.size());
  MeanTest test{.mean = interval95(values), .n = static_cast<int>(values.size())};
  const double error = std::sqrt(squares_about(values, test.mean.mean) / (n - 1) / n);
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  if (error > 1e-12 * largest) test.p = student_p(test.mean.mean / error, n - 1);
  return test;
}

MeanTest paired_test(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) {
    throw ConfigError(
        fmt::format("paired t test: expected pairs, got {} and {} values", a.size(), b.size()));
  }
  std::vector<double> differences(a.begin(), a.end());
  for (std::size_t i = 0; i < b.size(); ++i) differences[i] -= b[i];
  return mean_test(differences);
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (known(p[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return p[i] < p[j]; });
  std::vector<double> corrected(p.begin(), p.end());
  double largest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto members = static_cast<double>(order.size() - rank);
    largest = std::max(largest, std::min(1.0, members * p[order[rank]]));
    corrected[order[rank]] = largest;
  }
  return corrected;
}

double pearson(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size()) {
    throw ConfigError(
        fmt::format("correlation: expected pairs, got {} and {} values", x.size(), y.size()));
  }
  const std::vector<double> a = standardized({x.begin(), x.end()});
  const std::vector<double> b = standardized({y.begin(), y.end()});
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

RankCorrelation spearman(std::span<const std::vector<double>> x,
                         std::span<const std::vector<double>> y) {
  if (x.empty() || x.size() != y.size()) {
    throw ConfigError(fmt::format(
        "rank correlation: expected as many blocks of both, got {} and {}", x.size(), y.size()));
  }
  const std::size_t items = x[0].size();
  Products products(items, std::vector<double>(items));
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (x[k].size() != items || y[k].size() != items) {
      throw ConfigError(fmt::format("rank correlation: expected {} items, got {} and {}", items,
                                    x[k].size(), y[k].size()));
    }
    const std::vector<double> a = standard_ranks(x[k]), b = standard_ranks(y[k]);
    for (std::size_t i = 0; i < items; ++i) {
      for (std::size_t j = 0; j < items; ++j) {
        products[i][j] += a[i] * b[j] / static_cast<double>(x.size());
      }
    }
  }
  std::vector<std::size_t> as_given(items);
  std::iota(as_given.begin(), as_given.end(), 0);
  const double rho = correlation(products, as_given);
  if (!known(rho) || items < 2) return {};
  return {.rho = rho, .p = share_as_far(products, rho)};
}

}  // namespace hac
