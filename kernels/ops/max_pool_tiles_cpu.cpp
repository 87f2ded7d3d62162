#include "kernels/ops/max_pool_tiles_cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

#include "kernels/cpu/loop.h"

namespace hac::cpu {
namespace {

// The B channels of a pixel in registers. GCC leaves loops over them scalar where floats meet
// bytes.
template <int B>
struct Lanes {
  typedef float Floats __attribute__((vector_size(B * sizeof(float))));
  typedef std::int32_t Places __attribute__((vector_size(B * sizeof(std::int32_t))));
  typedef std::uint8_t Bytes __attribute__((vector_size(B)));
};

// A dx of more bytes is written past the caches, so that its lines are not read from memory first:
// that saves more than the layer before it loses, which finds less of it there.
constexpr std::int64_t past_caches = 4 << 20;

template <class V>
void store_past_caches(float* to, V value) {
#if defined(__AVX512F__)
  if constexpr (sizeof value == sizeof(__m512)) {
    _mm512_stream_ps(to, reinterpret_cast<__m512>(value));
    return;
  }
#endif
#if defined(__AVX__)
  if constexpr (sizeof value == sizeof(__m256)) {
    _mm256_stream_ps(to, reinterpret_cast<__m256>(value));
    return;
  }
#endif
  std::memcpy(to, &value, sizeof value);
}

void end_stores_past_caches() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// One row of windows. x: first of the k input rows, row_stride elements apart; B lanes a pixel.
template <int B, bool kKeep>
void forward_row(std::int64_t k, std::int64_t ow, std::int64_t row_stride, const float* x, float* y,
                 std::uint8_t* index) {
  using V = Lanes<B>;
  for (std::int64_t j = 0; j < ow; ++j) {
    const float* window = x + j * k * B;
    typename V::Floats best, pixel;
    typename V::Places place{};
    std::memcpy(&best, window, sizeof best);
    for (std::int64_t u = 0; u < k; ++u) {
      for (std::int64_t v = u == 0; v < k; ++v) {
        const auto here = static_cast<std::int32_t>(u * k + v) + typename V::Places{};
        std::memcpy(&pixel, window + u * row_stride + v * B, sizeof pixel);
        const auto larger = pixel > best;
        best = larger ? pixel : best;
        if (kKeep) place = larger ? here : place;
      }
    }
    std::memcpy(y + j * B, &best, sizeof best);
    if (!kKeep) continue;
    const auto bytes = __builtin_convertvector(place, typename V::Bytes);
    std::memcpy(index + j * B, &bytes, sizeof bytes);
  }
}

// The k rows of dx behind one row of windows; columns beyond the last window are zero.
template <int B, bool kPast>
void backward_rows(std::int64_t k, std::int64_t w, std::int64_t ow, const float* dy,
                   const std::uint8_t* index, float* dx) {
  using V = Lanes<B>;
  for (std::int64_t j = 0; j < ow; ++j) {
    typename V::Floats gradient;
    typename V::Bytes bytes;
    std::memcpy(&gradient, dy + j * B, sizeof gradient);
    std::memcpy(&bytes, index + j * B, sizeof bytes);
    const auto place = __builtin_convertvector(bytes, typename V::Places);
    for (std::int64_t u = 0; u < k; ++u) {
      for (std::int64_t v = 0; v < k; ++v) {
        const auto here = static_cast<std::int32_t>(u * k + v) + typename V::Places{};
        const auto pixel = place == here ? gradient : typename V::Floats{};
        float* to = dx + (u * w + j * k + v) * B;
        if constexpr (kPast) {
          store_past_caches(to, pixel);
        } else {
          std::memcpy(to, &pixel, sizeof pixel);
        }
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
  const std::int64_t oh = s.oh(), ow = s.ow(), size = s.h * s.w * B;
  const bool aligned = reinterpret_cast<std::uintptr_t>(dx) % (B * sizeof(float)) == 0;
  const bool past = aligned && planes * size * std::int64_t{sizeof(float)} > past_caches;
#pragma omp parallel for if (planes * size > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    float* plane = dx + p * size;
    for (std::int64_t i = 0; i < oh; ++i) {
      const std::int64_t at = (p * oh + i) * ow * B;
      float* rows = plane + i * s.kernel * s.w * B;
      if (past) {
        backward_rows<B, true>(s.kernel, s.w, ow, dy + at, index + at, rows);
      } else {
        backward_rows<B, false>(s.kernel, s.w, ow, dy + at, index + at, rows);
      }
    }
    std::fill(plane + oh * s.kernel * s.w * B, plane + size, 0.f);
    if (past) end_stores_past_caches();
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
