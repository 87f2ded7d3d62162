#include "kernels/ops/conv2d_depthwise_cpu.h"

#include <omp.h>

#include <algorithm>
#include <limits>

#include "kernels/cpu/loop.h"
#include "kernels/cpu/stores.h"
#include "kernels/ops/depthwise_windows_cpu.h"

namespace hac::cpu {
namespace {

// Of a row, whose sums stay in registers together, with a row of taps and an input.
constexpr int most_outputs = lanes == 16 ? 14 : 8;

// The rows of the input and of the weights that a row of outputs meets.
struct Rows {
  const float *x, *w;  // the first of each
  std::int64_t x_step, count;
};

template <int S, Step step>
Rows rows_of(const Maps& m, const float* x, const float* w, std::int64_t i) {
  constexpr std::int64_t row = S * lanes, pad = S / 2;
  if constexpr (step == Step::half) {
    const std::int64_t at = i + pad, past = std::max<std::int64_t>(0, at - 2 * (m.h - 1));
    const std::int64_t first = past + (past + at) % 2, last = std::min<std::int64_t>(S - 1, at);
    return {x + (at - first) / 2 * m.w * lanes, w + first * row, -m.w * lanes,
            (last - first) / 2 + 1};
  }
  const std::int64_t at = i * (step == Step::two ? 2 : 1) - pad;
  const std::int64_t first = std::max<std::int64_t>(0, -at);
  const std::int64_t end = std::min<std::int64_t>(S, m.h - at);
  return {x + (at + first) * m.w * lanes, w + first * row, m.w * lanes, end - first};
}

// What is done with sums. An activation that is no clamp follows some rows later.
struct Finish {
  Lanes bias, high;
  bool clamp, past_caches;
};

// A NaN stays one.
inline Lanes clamped(Lanes value, Lanes high) {
  value = Lanes{} > value ? Lanes{} : value;
  return high < value ? high : value;
}

// The sums of `count` outputs, `apart` floats between them.
template <int count>
[[gnu::always_inline]] inline void finish(Lanes (&sums)[count], float* y, std::int64_t apart,
                                          const Finish& f) {
  if (f.clamp) {
#pragma GCC unroll 16
    for (int t = 0; t < count; ++t) sums[t] = clamped(sums[t], f.high);
  }
  if (f.past_caches) {
#pragma GCC unroll 16
    for (int t = 0; t < count; ++t) write<true>(sums[t], y + t * apart);
  } else {
#pragma GCC unroll 16
    for (int t = 0; t < count; ++t) store(y + t * apart, sums[t]);
  }
}

// T outputs at y. Of the inputs in their middle, `left` lie before the first one and `right` behind
// the last one in each of the rows.
template <int S, Step step, int T>
[[gnu::always_inline]] inline void tile(Rows rows, std::int64_t left, std::int64_t right, float* y,
                                        const Finish& f) {
  using W = Window<S, step>;
  constexpr int middle = W::middle(T);
  Lanes sums[T];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) sums[t] = f.bias;
  const float *x = rows.x + left * lanes, *w = rows.w;
  std::int64_t count = rows.count;
  do {
    Lanes taps[S];
#pragma GCC unroll 8
    for (int v = 0; v < S; ++v) taps[v] = load(w + v * lanes);
#pragma GCC unroll 32
    for (int c = -W::before; c < middle + W::after; ++c) {
      if (c < 0 && left < -c) continue;
      if (c >= middle && right <= c - middle) continue;
      const Lanes value = load_once(x + c * lanes);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const int v = W::tap(c, t);
        if (v >= 0 && v < S) sums[t] += value * taps[v];
      }
    }
    x += rows.x_step;
    w += (step == Step::half ? 2 : 1) * S * lanes;
  } while (--count > 0);
  finish(sums, y, lanes, f);
}

// How many outputs of a row are computed together: all tiles are of one size, and the last one
// begins early where the row is no multiple of it.
template <Step step>
std::int64_t tile_size(const Maps& m) {
  return round_up(ceil_div(m.ow, ceil_div(m.ow, most_outputs)), step == Step::half ? 2 : 1);
}

// Rows [i, end) of outputs of a plane.
template <int S, Step step, int T>
[[gnu::noinline]] void convolve_rows(const Maps& m, const float* x, const float* w, std::int64_t i,
                                     std::int64_t end, float* y, const Finish& f) {
  for (; i < end; ++i) {
    const Rows rows = rows_of<S, step>(m, x, w, i);
    for (std::int64_t next = 0; next < m.ow; next += T) {
      const std::int64_t out = std::min(next, m.ow - T);
      const std::int64_t left = Window<S, step>::column(out);
      const std::int64_t right = m.w - left - Window<S, step>::middle(T);
      tile<S, step, T>(rows, left, right, y + (i * m.ow + out) * lanes, f);
    }
  }
}

// What has registers for strips of rows rather than tiles of one row.
template <int S, Step step>
constexpr bool has_strips = lanes == 16 && S == 3 && step == Step::one;

// Q rows of outputs of a 3x3 convolution with stride 1. The weights and the sums of three
// neighbours of each row, which are those that a column of inputs meets, stay in registers, and
// each input is loaded once.
template <int Q>
struct Strip {
  const float* x;  // the first row, a column further with each one added
  float* y;        // likewise, with each one written
  std::int64_t row;
  bool above, below;  // whether x has a row there
  Lanes taps[9], sums[3][Q], bias;

  // A column whose outputs have their sums in sums[k], those before it in sums[k - 1].
  template <int k>
  [[gnu::always_inline]] void add() {
    constexpr int before = (k + 2) % 3, after = (k + 1) % 3;
#pragma GCC unroll 6
    for (int r = -1; r <= Q; ++r) {
      if ((r < 0 && !above) || (r == Q && !below)) continue;
      const Lanes value = load(x + r * row);
#pragma GCC unroll 4
      for (int q = 0; q < Q; ++q) {
        const int u = r - q + 1;
        if (u < 0 || u > 2) continue;
        sums[before][q] += value * taps[u * 3 + 2];
        sums[k][q] += value * taps[u * 3 + 1];
        sums[after][q] += value * taps[u * 3];
      }
    }
    x += lanes;
  }

  template <int k>
  [[gnu::always_inline]] void clear() {
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) sums[k][q] = bias;
  }

  template <int k>
  [[gnu::always_inline]] void write(const Finish& f) {
    finish(sums[k], y, row, f);
    clear<k>();
    y += lanes;
  }
};

template <int Q>
[[gnu::noinline]] void convolve_strip(const float* x, const float* w, std::int64_t width,
                                      bool above, bool below, float* y, const Finish& f) {
  Strip<Q> s;
  s.x = x;
  s.y = y;
  s.row = width * lanes;
  s.above = above;
  s.below = below;
#pragma GCC unroll 9
  for (int q = 0; q < 9; ++q) s.taps[q] = load(w + q * lanes);
  s.bias = f.bias;
  s.template clear<0>();
  s.template clear<1>();
  s.template clear<2>();  // outputs before the first, which are dropped
  s.template add<0>();
  s.template clear<2>();
  for (; width > 3; width -= 3) {
    s.template add<1>();
    s.template write<0>(f);
    s.template add<2>();
    s.template write<1>(f);
    s.template add<0>();
    s.template write<2>(f);
  }
  if (width == 1) {
    s.template write<0>(f);
  } else if (width == 2) {
    s.template add<1>();
    s.template write<0>(f);
    s.template write<1>(f);
  } else {
    s.template add<1>();
    s.template write<0>(f);
    s.template add<2>();
    s.template write<1>(f);
    s.template write<2>(f);
  }
}

// By strips of four rows and at last of two to four, or of all where they are fewer.
void convolve_strips(const Maps& m, const float* x, const float* w, std::int64_t i,
                     std::int64_t end, float* y, const Finish& f) {
  constexpr int most = 4;
  const std::int64_t row = m.w * lanes;
  while (i < end) {
    const std::int64_t left = end - i;
    const std::int64_t rows = left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
    with_constant<most>(rows, [&](auto q) {
      convolve_strip<q>(x + i * row, w, m.w, i > 0, i + q < m.oh, y + i * row, f);
    });
    i += rows;
  }
}

// The bias of a block of channels; zero for those that the block adds.
Lanes bias_of(const Conv2dSpec& s, const float* bias, std::int64_t block) {
  Lanes b{};
  if (!bias) return b;
  if ((block + 1) * lanes <= s.k) return load(bias + block * lanes);
  for (std::int64_t l = 0; block * lanes + l < s.k; ++l) b[l] = bias[block * lanes + l];
  return b;
}

using ConvolveRows = void (*)(const Maps&, const float* x, const float* w, std::int64_t i,
                              std::int64_t end, float* y, const Finish&);

// Each thread takes as many rows of all planes as any other.
void convolve_by(ConvolveRows convolve_rows_of, const Conv2dSpec& s, const Maps& m, const float* x,
                 const float* packed, const float* bias, float* y) {
  const std::int64_t total = s.n * m.blocks * m.oh, floats = total * m.ow * lanes;
  const bool relu6 = s.activation == Activation::relu6;
  const bool past = s.pass != Pass::inference && reinterpret_cast<std::uintptr_t>(y) % 64 == 0 &&
                    floats * static_cast<std::int64_t>(sizeof(float)) > past_caches;
#pragma omp parallel if (floats > serial_elements)
  {
    const std::int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    Finish f{.bias = {},
             .high = Lanes{} + (relu6 ? 6 : std::numeric_limits<float>::infinity()),
             .clamp = relu6 || s.activation == Activation::relu,
             .past_caches = past};
    const std::int64_t first = total * thread / threads, last = total * (thread + 1) / threads;
    std::int64_t plane = first / m.oh, block = plane % m.blocks, i = first % m.oh;
    for (std::int64_t left = last - first; left > 0;) {
      const std::int64_t rows = std::min(m.oh - i, left);
      float* const to = y + plane * m.oh * m.ow * lanes;
      f.bias = bias_of(s, bias, block);
      convolve_rows_of(m, x + plane * m.h * m.w * lanes, packed + block * s.r * s.s * lanes, i,
                       i + rows, to, f);
      if (s.activation == Activation::silu) {
        for (std::int64_t p = i * m.ow; p < (i + rows) * m.ow; ++p) {
          store(to + p * lanes, activate_lanes<Activation::silu>(load(to + p * lanes)));
        }
      }
      left -= rows;
      i = 0;
      ++plane;
      if (++block == m.blocks) block = 0;
    }
    if (past) end_stores_past_caches();
  }
}

template <int S, Step step>
void convolve_by_tiles(const Conv2dSpec& s, const float* x, const float* packed, const float* bias,
                       float* y) {
  constexpr int pair = step == Step::half ? 2 : 1;
  const Maps m(s);
  if constexpr (has_strips<S, step>) {
    convolve_by(convolve_strips, s, m, x, packed, bias, y);
  } else {
    with_constant<most_outputs / pair>(tile_size<step>(m) / pair, [&](auto n) {
      convolve_by(convolve_rows<S, step, n * pair>, s, m, x, packed, bias, y);
    });
  }
}

template <int S>
void convolve_of(const Conv2dSpec& s, const float* x, const float* packed, const float* bias,
                 float* y) {
  if (s.stride == 1) return convolve_by_tiles<S, Step::one>(s, x, packed, bias, y);
  if (s.pass == Pass::backward_data) return convolve_by_tiles<S, Step::half>(s, x, packed, bias, y);
  convolve_by_tiles<S, Step::two>(s, x, packed, bias, y);
}

void convolve(const Conv2dSpec& s, const float* x, const float* packed, const float* bias,
              float* y) {
  s.r == 3 ? convolve_of<3>(s, x, packed, bias, y) : convolve_of<5>(s, x, packed, bias, y);
}

void pack(const Conv2dSpec& s, const float* w, float* packed) {
  const bool turned = s.pass == Pass::backward_data && s.stride == 1;
  const std::int64_t taps = s.r * s.s;
  for (std::int64_t first = 0; first < s.c; first += lanes) {
    const std::int64_t channels = std::min<std::int64_t>(lanes, s.c - first);
    for (std::int64_t q = 0; q < taps; ++q, packed += lanes) {
      const float* const from = w + first * taps + (turned ? taps - 1 - q : q);
      store(packed, Lanes{});
      for (std::int64_t l = 0; l < channels; ++l) packed[l] = from[l * taps];
    }
  }
}

}  // namespace

HAC_CPU_TABLE(DepthwiseKernels, depthwise_loops, {.pack = pack, .convolve = convolve})

}  // namespace hac::cpu
