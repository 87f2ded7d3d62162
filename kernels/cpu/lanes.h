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

// One row of weights, of `columns` blocks of channels. Two blocks of bf16, the upper half of a
// float, alternate: a shift and a mask widen them.
template <int columns>
inline void load_row(const float* row, Lanes (&w)[columns]) {
  for (int j = 0; j < columns; ++j) w[j] = load(row + j * lanes);
}
template <int columns>
inline void load_row(const bf16* row, Lanes (&w)[columns]) {
  using Halves = std::uint16_t __attribute__((vector_size(lanes * 2), aligned(2), may_alias));
  using Words = std::uint32_t __attribute__((vector_size(lanes * 4), aligned(2), may_alias));
  if constexpr (columns == 1) {
    const auto halves = *reinterpret_cast<const Halves*>(row);
    w[0] = reinterpret_cast<Lanes>(__builtin_convertvector(halves, Words) << 16);
  } else {
    const auto words = *reinterpret_cast<const Words*>(row);
    w[0] = reinterpret_cast<Lanes>(words << 16);
    w[1] = reinterpret_cast<Lanes>(words & 0xffff0000u);
  }
}
// One block of it.
inline void store_in_row(float* row, std::int64_t, std::int64_t block, Lanes w) {
  store(row + block * lanes, w);
}
inline void store_in_row(bf16* row, std::int64_t columns, std::int64_t block, Lanes w) {
  for (int l = 0; l < lanes; ++l) row[l * columns + block] = from_float<bf16>(w[l]);
}

// Of by_rows: which of how many groups.
struct Group {
  std::int64_t index, count;
};

// sums (rows, columns lanes) += v (rows, depth) u (depth, columns lanes): row i of v begins at
// v + at(i), u lies in one run. The weights behind u are multiplied next: each group fetches its
// part of as many, so that memory works as long as arithmetic does. Past the last weights that is
// harmless.
template <int rows, int columns, class At, class Weight>
[[gnu::always_inline]] inline void multiply_add(std::int64_t depth, const float* v, At at,
                                                const Weight* u, Group group,
                                                Lanes (&sums)[rows][columns]) {
  const std::int64_t step = columns * lanes / group.count;
  const Weight* next = u + depth * (columns * lanes + group.index * step);
  for (std::int64_t c = 0; c < depth; ++c, u += columns * lanes, next += step) {
    constexpr int line = 64;  // bytes
    __builtin_prefetch(next, 0, 2);
    if constexpr (columns * lanes * sizeof(Weight) > line) {
      __builtin_prefetch(next + line / sizeof(Weight), 0, 2);
    }
    Lanes w[columns];
    load_row(u, w);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < columns; ++j) sums[i][j] += v[at(i) + c] * w[j];
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

// run(number as a constant) for a number from 1 to `most`.
template <int most, class Run>
void with_constant(std::int64_t number, Run run) {
  if (number == most) return run(std::integral_constant<int, most>());
  if constexpr (most > 1) with_constant<most - 1>(number, run);
}

// run(first row, the number of rows as a constant, group) for all of `count`: as few groups of at
// most most_rows as do, all about as large.
template <class Run>
void by_rows(std::int64_t count, Run run) {
  const std::int64_t groups = (count + most_rows - 1) / most_rows;
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t first = g * count / groups, rows = (g + 1) * count / groups - first;
    with_constant<most_rows>(rows, [&](auto n) { run(first, n, Group{g, groups}); });
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
