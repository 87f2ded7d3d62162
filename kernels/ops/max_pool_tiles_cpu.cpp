#include "kernels/ops/max_pool_tiles_cpu.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/loop.h"
#include "kernels/cpu/stores.h"

namespace hac::cpu {
namespace {

// The B channels of a pixel in registers. GCC leaves loops over them scalar where floats meet
// bytes.
template <int B>
struct Lanes {
  typedef float Floats __attribute__((vector_size(B * sizeof(float))));
  typedef std::int32_t Places __attribute__((vector_size(B * sizeof(std::int32_t))));
  typedef std::uint32_t Words __attribute__((vector_size(B * sizeof(std::uint32_t))));
  typedef std::uint16_t Halves __attribute__((vector_size(B * sizeof(std::uint16_t))));
  typedef std::uint8_t Bytes __attribute__((vector_size(B)));
};

template <class V>
void load(const float* from, typename V::Floats& to) {
  std::memcpy(&to, from, sizeof to);
}
template <class V>
void load(const bf16* from, typename V::Floats& to) {
  typename V::Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const auto words = __builtin_convertvector(halves, typename V::Words) << 16;
  std::memcpy(&to, &words, sizeof to);
}

// What was loaded, so nothing is rounded.
template <class V, bool kPast = false>
void store(const typename V::Floats& from, float* to) {
  write<kPast>(from, to);
}
template <class V, bool kPast = false>
void store(const typename V::Floats& from, bf16* to) {
  typename V::Words words;
  std::memcpy(&words, &from, sizeof words);
  const auto upper = words >> 16;
  write<kPast>(__builtin_convertvector(upper, typename V::Halves), to);
}

// One row of windows. x: first of the k input rows, row_stride elements apart; B lanes a pixel.
template <int B, bool kKeep, class T>
void forward_row(std::int64_t k, std::int64_t ow, std::int64_t row_stride, const T* x, T* y,
                 std::uint8_t* index) {
  using V = Lanes<B>;
  for (std::int64_t j = 0; j < ow; ++j) {
    const T* window = x + j * k * B;
    typename V::Floats best, pixel;
    typename V::Places place{};
    load<V>(window, best);
    for (std::int64_t u = 0; u < k; ++u) {
      for (std::int64_t v = u == 0; v < k; ++v) {
        const auto here = static_cast<std::int32_t>(u * k + v) + typename V::Places{};
        load<V>(window + u * row_stride + v * B, pixel);
        const auto larger = pixel > best;
        best = larger ? pixel : best;
        if (kKeep) place = larger ? here : place;
      }
    }
    store<V>(best, y + j * B);
    if (!kKeep) continue;
    const auto bytes = __builtin_convertvector(place, typename V::Bytes);
    std::memcpy(index + j * B, &bytes, sizeof bytes);
  }
}

// The k rows of dx behind one row of windows; columns beyond the last window are zero.
template <int B, bool kPast, class T>
void backward_rows(std::int64_t k, std::int64_t w, std::int64_t ow, const T* dy,
                   const std::uint8_t* index, T* dx) {
  using V = Lanes<B>;
  for (std::int64_t j = 0; j < ow; ++j) {
    typename V::Floats gradient;
    typename V::Bytes bytes;
    load<V>(dy + j * B, gradient);
    std::memcpy(&bytes, index + j * B, sizeof bytes);
    const auto place = __builtin_convertvector(bytes, typename V::Places);
    for (std::int64_t u = 0; u < k; ++u) {
      for (std::int64_t v = 0; v < k; ++v) {
        const auto here = static_cast<std::int32_t>(u * k + v) + typename V::Places{};
        const auto pixel = place == here ? gradient : typename V::Floats{};
        store<V, kPast>(pixel, dx + (u * w + j * k + v) * B);
      }
    }
  }
  for (std::int64_t u = 0; u < k; ++u) {
    std::fill(dx + (u * w + ow * k) * B, dx + (u + 1) * w * B, T{});
  }
}

template <int B, class T>
void forward_planes(const Pool2dSpec& s, std::int64_t planes, const T* x, T* y,
                    std::uint8_t* index) {
  const std::int64_t oh = s.oh(), ow = s.ow();
#pragma omp parallel for collapse(2) if (planes * s.h * s.w * B > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    for (std::int64_t i = 0; i < oh; ++i) {
      const T* in = x + (p * s.h + i * s.kernel) * s.w * B;
      const std::int64_t at = (p * oh + i) * ow * B;
      if (index) {
        forward_row<B, true>(s.kernel, ow, s.w * B, in, y + at, index + at);
      } else {
        forward_row<B, false>(s.kernel, ow, s.w * B, in, y + at, nullptr);
      }
    }
  }
}

template <int B, class T>
void backward_planes(const Pool2dSpec& s, std::int64_t planes, const T* dy,
                     const std::uint8_t* index, T* dx) {
  const std::int64_t oh = s.oh(), ow = s.ow(), size = s.h * s.w * B;
  const bool aligned = reinterpret_cast<std::uintptr_t>(dx) % (B * sizeof(T)) == 0;
  const bool past = aligned && planes * size * std::int64_t{sizeof(T)} > past_caches;
#pragma omp parallel for if (planes * size > serial_elements)
  for (std::int64_t p = 0; p < planes; ++p) {
    T* plane = dx + p * size;
    for (std::int64_t i = 0; i < oh; ++i) {
      const std::int64_t at = (p * oh + i) * ow * B;
      T* rows = plane + i * s.kernel * s.w * B;
      if (past) {
        backward_rows<B, true>(s.kernel, s.w, ow, dy + at, index + at, rows);
      } else {
        backward_rows<B, false>(s.kernel, s.w, ow, dy + at, index + at, rows);
      }
    }
    std::fill(plane + oh * s.kernel * s.w * B, plane + size, T{});
    if (past) end_stores_past_caches();
  }
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  const Planes v(layout_of({}, s.in_shape()), s.in_shape());
  by_block_and_type(ctx, s, v, [&]<class T>(auto block, T) {
    forward_planes<block.value>(s, v.n * v.padded / block, as<T>(x), as<T>(y),
                                as<std::uint8_t>(index));
  });
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  const Planes v(layout_of({}, s.in_shape()), s.in_shape());
  by_block_and_type(ctx, s, v, [&]<class T>(auto block, T) {
    backward_planes<block.value>(s, v.n * v.padded / block, as<T>(dy), as<std::uint8_t>(index),
                                 as<T>(dx));
  });
}

}  // namespace

HAC_CPU_TABLE(MaxPoolTiles, max_pool_tiles, {.forward = forward, .backward = backward})

}  // namespace hac::cpu
