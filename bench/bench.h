#pragma once
// What the benchmarks share: interleaved timings, so that two figures of one ratio see the same
// machine.

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <limits>
#include <vector>

#include "scaling/stats.h"

namespace hac::bench {

inline double milliseconds(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// Median milliseconds of each function; they take turns, round after round, after three for warming
// up.
inline std::vector<double> interleaved(int rounds, const std::vector<std::function<void()>>& fs) {
  std::vector<std::vector<double>> times(fs.size());
  for (int r = 0; r < 3; ++r) {
    for (const auto& f : fs) f();
  }
  for (int r = 0; r < rounds; ++r) {
    for (std::size_t i = 0; i < fs.size(); ++i) times[i].push_back(milliseconds(fs[i]));
  }
  std::vector<double> medians;
  for (const auto& t : times) medians.push_back(median(t));
  return medians;
}

// The least of what each timing returns, round after round in turns, after three rounds for warming
// up: what the machine does when nobody else asks anything of it.
template <std::size_t N>
std::array<double, N> least(int rounds, const std::array<std::function<double()>, N>& timings) {
  std::array<double, N> best;
  best.fill(std::numeric_limits<double>::infinity());
  for (int r = -3; r < rounds; ++r) {
    for (std::size_t i = 0; i < N; ++i) {
      const double t = timings[i]();
      if (r >= 0) best[i] = std::min(best[i], t);
    }
  }
  return best;
}

}  // namespace hac::bench
