#pragma once
// Vectors of the width that a file of own loops is compiled for (loop.h), and the matrix product
// that keeps as many sums in registers as there are. For .cpp files that end in HAC_CPU_TABLE.

#include <cstdint>
#include <type_traits>

#include "kernels/core/activation.h"
#include "kernels/core/half.h"

namespace hac::cpu {
namespace {

#if defined(HAC_AVX512)
constexpr int lanes = 16, most_rows = 12;  // 24 sums, 2 weights of 32 registers
#elif defined(__x86_64__)
constexpr int lanes = 8, most_rows = 6;  // 12 sums, 2 weights, 1 input of 16
#else
constexpr int lanes = 4, most_rows = 12;
#endif

// Aligned as its elements, so that any array can be read through it.
using Lanes = float __attribute__((vector_size(lanes * sizeof(float)), aligned(4), may_alias));

inline Lanes load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
inline void store(float* to, Lanes value) { *reinterpret_cast<Lanes*>(to) = value; }
// A bf16 is the upper half of a float.
inline Lanes load(const bf16* from) {
  using Halves = std::uint16_t __attribute__((vector_size(lanes * 2), aligned(2), may_alias));
  using Words = std::uint32_t __attribute__((vector_size(lanes * 4)));
  const Words words = __builtin_convertvector(*reinterpret_cast<const Halves*>(from), Words);
  return reinterpret_cast<Lanes>(words << 16);
}

// sums (rows, columns lanes) += v (rows, depth) u (depth, columns lanes): row i of v begins at
// v + at(i), u lies in one run.
template <int rows, int columns, class At, class Weight>
[[gnu::always_inline]] inline void multiply_add(std::int64_t depth, const float* v, At at,
                                                const Weight* u, Lanes (&sums)[rows][columns]) {
  for (std::int64_t c = 0; c < depth; ++c, u += columns * lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < columns; ++j) sums[i][j] += v[at(i) + c] * load(u + j * lanes);
    }
  }
}

// Row i at from + at(i).
template <int rows, int columns, class At>
[[gnu::always_inline]] inline void load_sums(const float* from, At at,
                                             Lanes (&sums)[rows][columns]) {
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < columns; ++j) sums[i][j] = load(from + at(i) + j * lanes);
  }
}

template <int rows, int columns, class At>
[[gnu::always_inline]] inline void store_sums(const Lanes (&sums)[rows][columns], float* to,
                                              At at) {
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < columns; ++j) store(to + at(i) + j * lanes, sums[i][j]);
  }
}

// run(first row, the number of rows as a constant) for all of `count`, most_rows at a time; the
// last in halves of what is left, down to single rows.
template <int rows = most_rows, class Run>
void by_rows(std::int64_t first, std::int64_t count, Run run) {
  for (; count - first >= rows; first += rows) run(first, std::integral_constant<int, rows>());
  if constexpr (rows > 1) {
    if (first < count) by_rows<rows / 2>(first, count, run);
  }
}

// run(first block, how many blocks as a constant) for pairs of blocks, the last alone if odd.
template <class Run>
void by_pair(std::int64_t pair, std::int64_t blocks, Run run) {
  if (2 * pair + 1 < blocks) return run(2 * pair, std::integral_constant<int, 2>());
  run(2 * pair, std::integral_constant<int, 1>());
}

template <Activation activation>
[[gnu::always_inline]] inline Lanes activate_lanes(Lanes value) {
  if constexpr (activation != Activation::none) {
    for (int l = 0; l < lanes; ++l) value[l] = activate<activation>(value[l]);
  }
  return value;
}

}  // namespace
}  // namespace hac::cpu
