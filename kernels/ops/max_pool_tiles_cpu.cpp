#include "kernels/ops/max_pool_tiles_cpu.h"

#include <algorithm>

#include "kernels/cpu/loop.h"

namespace hac::cpu {
namespace {

// One row of windows. x: first of the k input rows, row_stride elements apart; B lanes a pixel.
template <int B, bool kKeep>
void forward_row(std::int64_t k, std::int64_t ow, std::int64_t row_stride, const float* x, float* y,
                 std::uint8_t* index) {
  for (std::int64_t j = 0; j < ow; ++j) {
    float best[B];
    std::int32_t place[B];
    const float* window = x + j * k * B;
#pragma omp simd
    for (int b = 0; b < B; ++b) {
      best[b] = window[b];
      place[b] = 0;
    }
    for (std::int64_t u = 0; u < k; ++u) {
      for (std::int64_t v = u == 0; v < k; ++v) {
        const float* pixel = window + u * row_stride + v * B;
        const auto here = static_cast<std::int32_t>(u * k + v);
#pragma omp simd
        for (int b = 0; b < B; ++b) {
          const bool larger = pixel[b] > best[b];
          best[b] = larger ? pixel[b] : best[b];
          if (kKeep) place[b] = larger ? here : place[b];
        }
      }
    }
#pragma omp simd
    for (int b = 0; b < B; ++b) {
      y[j * B + b] = best[b];
      if (kKeep) index[j * B + b] = static_cast<std::uint8_t>(place[b]);
    }
  }
}

// The k rows of dx behind one row of windows; columns beyond the last window are zero.
template <int B>
void backward_rows(std::int64_t k, std::int64_t w, std::int64_t ow, const float* dy,
                   const std::uint8_t* index, float* dx) {
  for (std::int64_t j = 0; j < ow; ++j) {
    std::int32_t place[B];
#pragma omp simd
    for (int b = 0; b < B; ++b) place[b] = index[j * B + b];
    for (std::int64_t u = 0; u < k; ++u) {
      for (std::int64_t v = 0; v < k; ++v) {
        float* pixel = dx + (u * w + j * k + v) * B;
        const auto here = static_cast<std::int32_t>(u * k + v);
#pragma omp simd
        for (int b = 0; b < B; ++b) pixel[b] = place[b] == here ? dy[j * B + b] : 0.f;
      }
    }
  }
  for (std::int64_t u = 0; u < k; ++u) {
    std::fill(dx + (u * w + ow * k) * B, dx + (u + 1) * w * B, 0.f);
  }
}

template <int B>
void forward_planes(const Pool2dSpec& s, std::int64_t planes, const float* x, float* y,
                    std::uint8_t* index) {
  const std::int64_t oh = s.oh(), ow = s.ow();
#pragma omp parallel for collapse(2) if (planes * s.h * s.w * B > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    for (std::int64_t i = 0; i < oh; ++i) {
      const float* in = x + (p * s.h + i * s.kernel) * s.w * B;
      const std::int64_t at = (p * oh + i) * ow * B;
      if (index) {
        forward_row<B, true>(s.kernel, ow, s.w * B, in, y + at, index + at);
      } else {
        forward_row<B, false>(s.kernel, ow, s.w * B, in, y + at, nullptr);
      }
    }
  }
}

template <int B>
void backward_planes(const Pool2dSpec& s, std::int64_t planes, const float* dy,
                     const std::uint8_t* index, float* dx) {
  const std::int64_t oh = s.oh(), ow = s.ow();
#pragma omp parallel for if (planes * s.h * s.w * B > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    float* plane = dx + p * s.h * s.w * B;
    for (std::int64_t i = 0; i < oh; ++i) {
      const std::int64_t at = (p * oh + i) * ow * B;
      backward_rows<B>(s.kernel, s.w, ow, dy + at, index + at, plane + i * s.kernel * s.w * B);
    }
    std::fill(plane + oh * s.kernel * s.w * B, plane + s.h * s.w * B, 0.f);
  }
}

void forward(const Pool2dSpec& s, const float* x, float* y, std::uint8_t* index) {
  const Planes v(layout_of({}, s.in_shape()), s.in_shape());
  by_block(
      v, [&](auto block) { forward_planes<block.value>(s, v.n * v.padded / block, x, y, index); });
}

void backward(const Pool2dSpec& s, const float* dy, const std::uint8_t* index, float* dx) {
  const Planes v(layout_of({}, s.in_shape()), s.in_shape());
  by_block(v, [&](auto block) {
    backward_planes<block.value>(s, v.n * v.padded / block, dy, index, dx);
  });
}

}  // namespace

HAC_CPU_TABLE(MaxPoolTiles, max_pool_tiles, {.forward = forward, .backward = backward})

}  // namespace hac::cpu
