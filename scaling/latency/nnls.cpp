#include "scaling/latency/nnls.h"

#include <fmt/format.h>

// Scalar code: the same coefficients on every machine, and GCC 12 warns about Eigen's AVX-512.
#define EIGEN_DONT_VECTORIZE
#include <Eigen/Dense>
#include <cmath>

#include "kernels/core/error.h"

namespace hac {

namespace {

// Least squares over the columns in `passive`; the other entries are 0.
Eigen::VectorXd solve_passive(const Eigen::MatrixXd& a, const Eigen::VectorXd& y,
                              const std::vector<bool>& passive) {
  std::vector<Eigen::Index> columns;
  for (std::size_t j = 0; j < passive.size(); ++j) {
    if (passive[j]) columns.push_back(static_cast<Eigen::Index>(j));
  }
  const Eigen::MatrixXd part = a(Eigen::all, columns);
  const Eigen::VectorXd z = part.completeOrthogonalDecomposition().solve(y);
  Eigen::VectorXd x = Eigen::VectorXd::Zero(a.cols());
  for (std::size_t i = 0; i < columns.size(); ++i) x[columns[i]] = z[static_cast<Eigen::Index>(i)];
  return x;
}

Eigen::VectorXd lawson_hanson(const Eigen::MatrixXd& a, const Eigen::VectorXd& y) {
  const Eigen::Index n = a.cols();
  const double tolerance = 1e-12 * (a.transpose() * y).cwiseAbs().maxCoeff();
  std::vector<bool> passive(n, false);
  Eigen::VectorXd x = Eigen::VectorXd::Zero(n);
  for (Eigen::Index round = 0; round < 10 * n; ++round) {
    const Eigen::VectorXd gradient = a.transpose() * (y - a * x);
    Eigen::Index enter = -1;
    for (Eigen::Index j = 0; j < n; ++j) {
      if (passive[j] || gradient[j] <= tolerance) continue;
      if (enter < 0 || gradient[j] > gradient[enter]) enter = j;
    }
    if (enter < 0) break;
    passive[enter] = true;
    Eigen::VectorXd z = solve_passive(a, y, passive);
    // Walk from x towards z as far as x stays non-negative; what reaches 0 leaves the passive set.
    while (true) {
      double step = 1;
      Eigen::Index leave = -1;
      for (Eigen::Index j = 0; j < n; ++j) {
        if (!passive[j] || z[j] > 0) continue;
        const double reach = x[j] > z[j] ? x[j] / (x[j] - z[j]) : 0;
        if (leave < 0 || reach < step) step = reach, leave = j;
      }
      if (leave < 0) break;
      x += step * (z - x);
      passive[leave] = false;
      x[leave] = 0;
      z = solve_passive(a, y, passive);
    }
    x = z.cwiseMax(0);
  }
  return x;
}

}  // namespace

std::vector<double> nnls(const std::vector<std::vector<double>>& rows,
                         const std::vector<double>& y) {
  const std::size_t n = rows.empty() ? 0 : rows[0].size();
  if (n == 0 || rows.size() != y.size()) {
    throw ConfigError(
        fmt::format("nnls: expected as many rows as values, got {} and {}", rows.size(), y.size()));
  }
  Eigen::MatrixXd a(rows.size(), n);
  Eigen::VectorXd b(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].size() != n) {
      throw ConfigError(
          fmt::format("nnls row {}: expected {} columns, got {}", i, n, rows[i].size()));
    }
    for (std::size_t j = 0; j < n; ++j) a(i, j) = rows[i][j];
    b[i] = y[i];
  }
  if (!a.allFinite() || !b.allFinite()) throw ConfigError("nnls: expected finite numbers only");
  // Columns of one length: features differ by ten powers of ten (1 against MACs).
  Eigen::VectorXd length = a.colwise().norm();
  for (Eigen::Index j = 0; j < length.size(); ++j) {
    if (length[j] > 0) a.col(j) /= length[j];
  }
  const Eigen::VectorXd x = lawson_hanson(a, b);
  std::vector<double> result(n);
  for (std::size_t j = 0; j < n; ++j) result[j] = length[j] > 0 ? x[j] / length[j] : 0;
  return result;
}

}  // namespace hac
