#pragma once
// The matrices of Winograd's filtering F(2, 3) and F(4, 3) and the multiplication by them
// (winograd.md), a vector of channels at a time. For .cpp files that end in HAC_CPU_TABLE.

#include "kernels/cpu/lanes.h"

namespace hac::cpu {
namespace {

template <int R, int C>
struct Matrix {
  float at[R][C];
};

template <int m>
struct Form;

template <>
struct Form<2> {
  static constexpr Matrix<4, 4> bt{{{1, 0, -1, 0},  //
                                    {0, 1, 1, 0},
                                    {0, -1, 1, 0},
                                    {0, 1, 0, -1}}};
  static constexpr Matrix<4, 3> g{{{1, 0, 0},  //
                                   {.5f, .5f, .5f},
                                   {.5f, -.5f, .5f},
                                   {0, 0, 1}}};
  static constexpr Matrix<2, 4> at{{{1, 1, 1, 0},  //
                                    {0, 1, -1, -1}}};
};

// The points 0, 3/4, -3/4, 3/2, -3/2 and infinity; with 1 and 2 in place of 3/4 and 3/2, as is
// usual, the error is five times as large.
template <>
struct Form<4> {
  static constexpr Matrix<6, 6> bt{{{1.265625f, 0, -2.8125f, 0, 1, 0},
                                    {0, -1.6875f, -2.25f, .75f, 1, 0},
                                    {0, 1.6875f, -2.25f, -.75f, 1, 0},
                                    {0, -.84375f, -.5625f, 1.5f, 1, 0},
                                    {0, .84375f, -.5625f, -1.5f, 1, 0},
                                    {0, 1.265625f, 0, -2.8125f, 0, 1}}};
  static constexpr Matrix<6, 3> g{{{64 / 81.f, 0, 0},
                                   {-128 / 243.f, -32 / 81.f, -8 / 27.f},
                                   {-128 / 243.f, 32 / 81.f, -8 / 27.f},
                                   {32 / 243.f, 16 / 81.f, 8 / 27.f},
                                   {32 / 243.f, -16 / 81.f, 8 / 27.f},
                                   {0, 0, 1}}};
  static constexpr Matrix<4, 6> at{{{1, 1, 1, 1, 1, 0},
                                    {0, .75f, -.75f, 1.5f, -1.5f, 0},
                                    {0, .5625f, .5625f, 2.25f, 2.25f, 0},
                                    {0, .421875f, -.421875f, 3.375f, -3.375f, 1}}};
};

template <int R, int C>
constexpr Matrix<C, R> transposed(const Matrix<R, C>& m) {
  Matrix<C, R> t{};
  for (int i = 0; i < R; ++i) {
    for (int j = 0; j < C; ++j) t.at[j][i] = m.at[i][j];
  }
  return t;
}

// Row i + 1 is row i with every second sign turned.
template <int R, int C>
constexpr bool mirrored(const Matrix<R, C>& m, int i) {
  if (i < 0 || i + 1 >= R) return false;
  for (int j = 0; j < C; ++j) {
    if (m.at[i + 1][j] != (j % 2 == 0 ? m.at[i][j] : -m.at[i][j])) return false;
  }
  return true;
}

// The sum of M[i][j] x[j] over every second j, unrolled, so that zeros cost nothing.
template <const auto& M, int i, int first, int C>
[[gnu::always_inline]] inline Lanes half_row(const Lanes (&x)[C]) {
  Lanes sum{};
#pragma GCC unroll 4
  for (int j = first; j < C; j += 2) {
    if (M.at[i][j] != 0) sum += M.at[i][j] * x[j];
  }
  return sum;
}

template <const auto& M, int i, int R, int C>
[[gnu::always_inline]] inline void multiply_rows(const Lanes (&x)[C], Lanes (&y)[R]) {
  if constexpr (i < R) {
    const Lanes even = half_row<M, i, 0>(x), odd = half_row<M, i, 1>(x);
    y[i] = even + odd;
    if constexpr (mirrored(M, i)) {
      y[i + 1] = even - odd;
      multiply_rows<M, i + 2>(x, y);
    } else {
      multiply_rows<M, i + 1>(x, y);
    }
  }
}

// y = M x. Points come in pairs p, -p, which are two rows of B^T, G and A that share the halves of
// their sums, or two columns of A^T and G^T that meet x as a sum and as a difference.
template <const auto& M, int R, int C>
[[gnu::always_inline]] inline void multiply(const Lanes (&x)[C], Lanes (&y)[R]) {
  static constexpr auto columns = transposed(M);
  if constexpr (!mirrored(columns, 1)) return multiply_rows<M, 0>(x, y);
  Lanes even[C], odd[C];  // of which a row of that parity takes its multiples
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
    const int other = mirrored(columns, j) ? j + 1 : mirrored(columns, j - 1) ? j - 1 : j;
    even[j] = other == j ? x[j] : j < other ? x[j] + x[other] : Lanes{};
    odd[j] = other == j ? x[j] : j < other ? x[j] - x[other] : Lanes{};
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    Lanes sum{};
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      if (M.at[i][j] != 0 && !mirrored(columns, j - 1)) {
        sum += M.at[i][j] * (i % 2 == 0 ? even[j] : odd[j]);
      }
    }
    y[i] = sum;
  }
}

// y = M x M^T.
template <const auto& M, int R, int C>
[[gnu::always_inline]] inline void transform(const Lanes (&x)[C][C], Lanes (&y)[R][R]) {
  Lanes half[C][R];
#pragma GCC unroll 8
  for (int i = 0; i < C; ++i) multiply<M, R, C>(x[i], half[i]);
#pragma GCC unroll 8
  for (int j = 0; j < R; ++j) {
    Lanes column[C], out[R];
#pragma GCC unroll 8
    for (int i = 0; i < C; ++i) column[i] = half[i][j];
    multiply<M, R, C>(column, out);
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) y[i][j] = out[i];
  }
}

}  // namespace
}  // namespace hac::cpu
