#pragma once
// What a core does at most, written out by hand: the yardstick for kernels/cpu/ceiling_loops.h.

#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "kernels/core/isa.h"
#include "kernels/cpu/ceiling_loops.h"

namespace hac {

// clang-format off
#define HAC_TWELVE(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)
// clang-format on

__attribute__((target("avx2,fma"))) inline float handwritten_fma8(std::int64_t rounds) {
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
#define HAC_CHAIN(i) __m256 x##i = _mm256_set1_ps(0.1f * i);
  HAC_TWELVE(HAC_CHAIN)
#undef HAC_CHAIN
  for (std::int64_t r = 0; r < rounds; ++r) {
#define HAC_CHAIN(i) x##i = _mm256_fmadd_ps(x##i, a, b);
    HAC_TWELVE(HAC_CHAIN)
#undef HAC_CHAIN
  }
  __m256 sum = _mm256_setzero_ps();
#define HAC_CHAIN(i) sum = _mm256_add_ps(sum, x##i);
  HAC_TWELVE(HAC_CHAIN)
#undef HAC_CHAIN
  return _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) inline float handwritten_fma16(std::int64_t rounds) {
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
#define HAC_CHAIN(i) __m512 x##i = _mm512_set1_ps(0.1f * i);
  HAC_TWELVE(HAC_CHAIN)
#undef HAC_CHAIN
  for (std::int64_t r = 0; r < rounds; ++r) {
#define HAC_CHAIN(i) x##i = _mm512_fmadd_ps(x##i, a, b);
    HAC_TWELVE(HAC_CHAIN)
#undef HAC_CHAIN
  }
  __m512 sum = _mm512_setzero_ps();
#define HAC_CHAIN(i) sum = _mm512_add_ps(sum, x##i);
  HAC_TWELVE(HAC_CHAIN)
#undef HAC_CHAIN
  return _mm512_cvtss_f32(sum);
}

// One float of each cache line, next to nothing to compute: all that memory has to send. Four
// places at once, for one alone waits for its page.
inline float handwritten_touch(const float* data, std::int64_t n) {
  const std::int64_t part = n / 4;
  float a = 0, b = 0, c = 0, d = 0;
  for (std::int64_t i = 0; i < part; i += 16) {
    a += data[i];
    b += data[part + i];
    c += data[2 * part + i];
    d += data[3 * part + i];
  }
  return a + b + c + d;
}

inline volatile float handwritten_sink;

// Units a second, in 10^9, of both pieces of work on all of OpenMP's threads, trial by trial in
// turns; the best of each.
struct Rates {
  double measured = 0, by_hand = 0;
};
template <class Measured, class ByHand>
Rates rates(double units, int trials, Measured measured, ByHand by_hand) {
  const auto time = [&](auto work, int trial, double& best) {
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel
    handwritten_sink = work(trial, omp_get_thread_num());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, 1e-9 * units / took.count());
  };
  Rates best;
  for (int t = 0; t < trials; ++t) {
    time(measured, t, best.measured);
    time(by_hand, t, best.by_hand);
  }
  return best;
}

// GMAC/s with the registers of the instruction set in use.
inline Rates peak_rates(int trials) {
  const int lanes = cpu::vector_lanes();
  const std::int64_t macs = std::int64_t{12} * lanes * 300'000;  // a thread and trial
  return rates(
      static_cast<double>(macs) * omp_get_max_threads(), trials,
      [&](int, int) {
        return cpu::ceiling_loops.multiply_add(macs / cpu::ceiling_loops.macs, 1e-6f);
      },
      [&](int, int) {
        const std::int64_t rounds = macs / (12 * lanes);
        return lanes == 16 ? handwritten_fma16(rounds) : handwritten_fma8(rounds);
      });
}

// GB/s of reading the same memory, another eighth of it at each trial.
inline Rates read_rates(int trials) {
  constexpr std::int64_t slices = 8, slice = std::int64_t{8} << 20;
  const std::vector<float> data(slices * slice, 1.f);
  const std::int64_t part = slice / omp_get_max_threads();
  const auto at = [&](int trial, int thread) {
    return data.data() + trial % slices * slice + part * thread;
  };
  return rates(
      4.0 * static_cast<double>(part) * omp_get_max_threads(), trials,
      [&](int trial, int thread) { return cpu::ceiling_loops.read(at(trial, thread), part); },
      [&](int trial, int thread) { return handwritten_touch(at(trial + 4, thread), part); });
}

}  // namespace hac
