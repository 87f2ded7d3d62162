#include "kernels/ops/conv2d_taps_cpu.h"

#include <algorithm>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/loop.h"

namespace hac::cpu {
namespace {

// x (n, blocks, hw, lanes) to (n hw, blocks lanes): the channels of a pixel in one run.
void gather_pixels(const Conv2dSpec& s, const float* x, float* pixels) {
  const std::int64_t hw = s.h * s.w, blocks = ceil_div(s.c, lanes), planes = s.n * blocks;
#pragma omp parallel for schedule(static) if (planes * hw * lanes > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    float* const to = pixels + (p / blocks * hw * blocks + p % blocks) * lanes;
    for (std::int64_t i = 0; i < hw; ++i) {
      store(to + i * blocks * lanes, load(x + (p * hw + i) * lanes));
    }
  }
}

// Adds one tap's products to the sums of the pixels that it reaches, `count` of them.
template <int columns, class Weight>
void add_tap(const Taps::Reach* reach, std::int64_t count, std::int64_t depth, const float* pixels,
             const Weight* w, float* sums) {
  by_rows(count, [&](std::int64_t first, auto rows, Group group) {
    constexpr int n = rows;
    const auto to = [=](int i) { return reach[first + i].to * columns * lanes; };
    Lanes near[n][columns];
    load_sums(sums, to, near);
    multiply_add(
        depth, pixels, [=](int i) { return reach[first + i].from * depth; }, w, group, near);
    store_sums(near, sums, to);
  });
}

// The sums of a chunk with what is fused behind, to `columns` blocks of channels from `block` on.
template <Activation activation>
void write_chunk(const Conv2dSpec& s, std::int64_t first, std::int64_t count, std::int64_t block,
                 int columns, const float* sums, const float* bias, float* y) {
  const std::int64_t hw = s.oh() * s.ow(), blocks = ceil_div(s.k, lanes);
  for (int j = 0; j < columns; ++j) {
    const Lanes b = bias ? load(bias + (block + j) * lanes) : Lanes{};
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t image = (first + i) / hw, pixel = (first + i) % hw;
      float* const to = y + ((image * blocks + block + j) * hw + pixel) * lanes;
      Lanes value = load(sums + (i * columns + j) * lanes) + b;
      if (s.add) value += load(to);
      store(to, activate_lanes<activation>(value));
    }
  }
}

template <class Weight>
void convolve(const Conv2dSpec& s, const Taps& t, const float* x, const Weight* packed,
              const float* bias, float* y, float* pixels) {
  gather_pixels(s, x, pixels);
  const std::int64_t taps = s.r * s.s, depth = round_up(s.c, lanes), blocks = ceil_div(s.k, lanes);
  const std::int64_t total = s.n * s.oh() * s.ow(), tasks = ceil_div(blocks, 2) * t.chunks;
#pragma omp parallel for schedule(static)
  for (std::int64_t task = 0; task < tasks; ++task) {
    const std::int64_t chunk = task % t.chunks;
    by_pair(task / t.chunks, blocks, [&](std::int64_t block, auto columns) {
      alignas(64) float sums[Taps::chunk * 2 * lanes] = {};
      const Weight* w = packed + block * lanes * taps * depth;
      for (std::int64_t tap = 0; tap < taps; ++tap, w += depth * columns * lanes) {
        const std::int64_t* const first = t.first.data() + chunk * taps + tap;
        add_tap<columns>(t.reached.data() + first[0], first[1] - first[0], depth, pixels, w, sums);
      }
      const std::int64_t begin = chunk * Taps::chunk;
      by_activation(s.activation, [&](auto a) {
        write_chunk<a.value>(s, begin, std::min(Taps::chunk, total - begin), block, columns, sums,
                             bias, y);
      });
    });
  }
}

template <class Weight>
void pack(const Conv2dSpec& s, const float* w, Weight* packed) {
  const std::int64_t taps = s.r * s.s, depth = round_up(s.c, lanes), blocks = ceil_div(s.k, lanes);
#pragma omp parallel for schedule(static)
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t columns = block % 2 == 0 && block + 1 == blocks ? 1 : 2;
    Weight* const pair = packed + block / 2 * 2 * lanes * taps * depth;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t c = 0; c < depth; ++c) {
        Lanes row{};
        for (std::int64_t l = 0; l < lanes; ++l) {
          const std::int64_t k = block * lanes + l;
          if (c < s.c && k < s.k) row[l] = w[(k * s.c + c) * taps + tap];
        }
        store_in_row(pair + (tap * depth + c) * columns * lanes, columns, block % 2, row);
      }
    }
  }
}

}  // namespace

HAC_CPU_TABLE(TapsKernels<float>, taps_loops_f32,
              {.pack = pack<float>, .convolve = convolve<float>})
HAC_CPU_TABLE(TapsKernels<bf16>, taps_loops_bf16, {.pack = pack<bf16>, .convolve = convolve<bf16>})

}  // namespace hac::cpu
