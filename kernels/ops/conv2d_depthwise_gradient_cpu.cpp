#include <algorithm>

#include "kernels/cpu/loop.h"
#include "kernels/ops/conv2d_bias_gradient_cpu.h"
#include "kernels/ops/conv2d_depthwise_cpu.h"
#include "kernels/ops/depthwise_windows_cpu.h"

namespace hac::cpu {
namespace {

// Rows of taps whose sums stay in registers together, with some pixels of dy and one of x.
template <int S>
constexpr int tap_rows = lanes == 8 && S == 5 ? 2 : S;
constexpr int most_pixels = 4;

// T pixels of dy at d, whose middle inputs begin with `column` of the rows of x from `top` on.
template <int S, Step step, int G, int T>
[[gnu::always_inline]] inline void add_pixels(const Maps& m, const float* x, const float* d,
                                              std::int64_t top, std::int64_t column,
                                              Lanes (&sums)[G][S]) {
  using W = Window<S, step>;
  constexpr int middle = W::middle(T);
  Lanes dy[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) dy[t] = load(d + t * lanes);
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) {
    if (top + g < 0 || top + g >= m.h) continue;
    const float* const from = x + ((top + g) * m.w + column) * lanes;
#pragma GCC unroll 16
    for (int c = -W::before; c < middle + W::after; ++c) {
      if (c < 0 && column + c < 0) continue;
      if (c >= middle && column + c >= m.w) continue;
      const Lanes value = load_once(from + c * lanes);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const int v = W::tap(c, t);
        if (v >= 0 && v < S) sums[g][v] += value * dy[t];
      }
    }
  }
}

// To the sums of the rows of taps [u, u + G) over rows [first, last) of a plane; `rest`: how many
// pixels are left of a row after tiles of most_pixels.
template <int S, Step step, int G, int rest>
[[gnu::noinline]] void add_rows(const Maps& m, const float* x, const float* dy, std::int64_t first,
                                std::int64_t last, std::int64_t u, Lanes* totals) {
  Lanes sums[G][S];
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < S; ++v) sums[g][v] = totals[(u + g) * S + v];
  }
  for (std::int64_t i = first; i < last; ++i) {
    const float* const d = dy + i * m.ow * lanes;
    const std::int64_t top = i * (step == Step::two ? 2 : 1) + u - S / 2;
    std::int64_t j = 0;
    for (; j + most_pixels <= m.ow; j += most_pixels) {
      add_pixels<S, step, G, most_pixels>(m, x, d + j * lanes, top, Window<S, step>::column(j),
                                          sums);
    }
    if constexpr (rest > 0) {
      add_pixels<S, step, G, rest>(m, x, d + j * lanes, top, Window<S, step>::column(j), sums);
    }
  }
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) {
#pragma GCC unroll 8
    for (int v = 0; v < S; ++v) totals[(u + g) * S + v] = sums[g][v];
  }
}

// The sums of a part: rows [row, end) of all images of one block.
template <int S, Step step, int rest>
void sum_part(const Maps& m, const float* x, const float* dy, std::int64_t block, std::int64_t row,
              std::int64_t end, float* to) {
  constexpr int G = tap_rows<S>;
  Lanes totals[S * S] = {};
  while (row < end) {
    const std::int64_t plane = row / m.oh * m.blocks + block, first = row % m.oh;
    const std::int64_t last = std::min(m.oh, first + end - row);
    const float* const from = x + plane * m.h * m.w * lanes;
    const float* const d = dy + plane * m.oh * m.ow * lanes;
    std::int64_t u = 0;
    for (; u + G <= S; u += G) add_rows<S, step, G, rest>(m, from, d, first, last, u, totals);
    if constexpr (S % G != 0) {
      add_rows<S, step, S % G, rest>(m, from, d, first, last, u, totals);
    }
    row += last - first;
  }
  for (int q = 0; q < S * S; ++q) store(to + q * lanes, totals[q]);
}

template <int S, Step step, int rest>
void sum_parts(const Conv2dSpec& s, const Maps& m, std::int64_t parts, const float* x,
               const float* dy, float* work) {
  const std::int64_t rows = s.n * m.oh;
#pragma omp parallel for schedule(static)
  for (std::int64_t task = 0; task < m.blocks * parts; ++task) {
    const std::int64_t part = task % parts;
    sum_part<S, step, rest>(m, x, dy, task / parts, rows * part / parts, rows * (part + 1) / parts,
                            work + task * S * S * lanes);
  }
}

template <int S, Step step>
void weights_of(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* work) {
  constexpr std::int64_t taps = S * S;
  const Maps m(s);
  const std::int64_t parts = depthwise_parts(s).count;
  with_constant<most_pixels>(m.ow % most_pixels + 1,
                             [&](auto n) { sum_parts<S, step, n - 1>(s, m, parts, x, dy, work); });
  for (std::int64_t block = 0; block < m.blocks; ++block) {
    const std::int64_t channels = std::min<std::int64_t>(lanes, s.c - block * lanes);
    for (std::int64_t q = 0; q < taps; ++q) {
      double sums[lanes] = {};
      for (std::int64_t part = 0; part < parts; ++part) {
        const float* const from = work + ((block * parts + part) * taps + q) * lanes;
        for (int l = 0; l < lanes; ++l) sums[l] += from[l];
      }
      float* const to = dw + block * lanes * taps + q;
      for (std::int64_t l = 0; l < channels; ++l) to[l * taps] = static_cast<float>(sums[l]);
    }
  }
}

template <int S>
void weights_by_step(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* work) {
  s.stride == 1 ? weights_of<S, Step::one>(s, x, dy, dw, work)
                : weights_of<S, Step::two>(s, x, dy, dw, work);
}

void weights(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* db,
             float* work) {
  s.r == 3 ? weights_by_step<3>(s, x, dy, dw, work) : weights_by_step<5>(s, x, dy, dw, work);
  if (db) bias_gradient(s, dy, db);
}

}  // namespace

HAC_CPU_TABLE(DepthwiseGradient, depthwise_gradient, {.weights = weights})

}  // namespace hac::cpu
