// A batch norm and the max pool behind it, in both directions without the map between them: forward
// keeps the larger as it normalises, backward finds dz from dy and the place that won.

#include <cstring>

#include "kernels/cpu/stores.h"
#include "kernels/ops/batchnorm_passes_cpu.h"

namespace hac {
namespace {

// B channels in registers. GCC leaves loops over them scalar where floats meet bytes, or where two
// choices hang on one comparison.
template <int B>
struct Vectors {
  typedef float Floats __attribute__((vector_size(B * sizeof(float))));
  typedef std::int32_t Places __attribute__((vector_size(B * sizeof(std::int32_t))));
  typedef std::uint8_t Bytes __attribute__((vector_size(B)));
};

// Bytes as places. GCC takes such conversions apart where a step from 8 to 32 bits is one
// instruction.
template <int B>
void load_places(const std::uint8_t* from, typename Vectors<B>::Places& to) {
#if defined(__AVX512F__)
  if constexpr (B == 16) {
    const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(as<__m128i>(from)));
    std::memcpy(&to, &wide, sizeof to);
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (B == 8) {
    const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(as<__m128i>(from)));
    std::memcpy(&to, &wide, sizeof to);
    return;
  }
#endif
  typename Vectors<B>::Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  to = __builtin_convertvector(bytes, typename Vectors<B>::Places);
}

template <int B>
void store_places(const typename Vectors<B>::Places& from, std::uint8_t* to) {
#if defined(__AVX512F__)
  if constexpr (B == 16) {
    __m512i wide;
    std::memcpy(&wide, &from, sizeof wide);
    _mm_storeu_si128(as<__m128i>(to), _mm512_cvtepi32_epi8(wide));
    return;
  }
#endif
  const auto bytes = __builtin_convertvector(from, typename Vectors<B>::Bytes);
  std::memcpy(to, &bytes, sizeof bytes);
}

// The four pixels of a window, in row order, from the first.
template <int B, class T>
struct Window {
  Window(const BatchNormSpec& s, T* plane, std::int64_t i, std::int64_t j)
      : pixels{plane + (2 * i * s.w + 2 * j) * B, pixels[0] + B, pixels[0] + s.w * B,
               pixels[2] + B} {}
  T* pixels[4];
};

// One plane of y and of the places. What is compared is rounded as the map would have been.
template <int B, Activation A, class T>
void pool_plane(const BatchNormSpec& s, Normalize<B> normalize, const T* x, T* y,
                std::uint8_t* index) {
  using V = Vectors<B>;
  for (std::int64_t i = 0; i < s.h / 2; ++i) {
    for (std::int64_t j = 0; j < s.w / 2; ++j, y += B, index += B) {
      const Window<B, const T> in(s, x, i, j);
      float values[B];
      typename V::Floats best, pixel;
      typename V::Places place{};
      const auto load = [&](int k, typename V::Floats& to) {
#pragma omp simd
        for (int lane = 0; lane < B; ++lane) {
          const float z = normalize(to_float(in.pixels[k][lane]), lane);
          values[lane] = to_float(from_float<T>(activate<A>(z)));
        }
        std::memcpy(&to, values, sizeof to);
      };
      load(0, best);
      for (int k = 1; k < 4; ++k) {
        load(k, pixel);
        const auto larger = pixel > best;
        best = larger ? pixel : best;
        place = larger ? k + typename V::Places{} : place;
      }
      std::memcpy(values, &best, sizeof best);
      T maxima[B];
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) maxima[lane] = from_float<T>(values[lane]);
      std::copy_n(maxima, B, y);
      store_places<B>(place, index);
    }
  }
}

// Of one window of each channel: which pixel won, its x, and dz there; elsewhere dz is zero.
template <int B>
struct Winner {
  std::int32_t place[B];
  float x[B], dz[B];
};

template <Activation A, int B, class T>
[[gnu::always_inline]] inline void find_winner(const Normalize<B>& normalize,
                                               const Window<B, const T>& in, const T* dy,
                                               const std::uint8_t* index, Winner<B>& winner) {
  typename Vectors<B>::Places places;
  load_places<B>(index, places);
  std::memcpy(winner.place, &places, sizeof places);
#pragma omp simd
  for (int lane = 0; lane < B; ++lane) {
    const std::int32_t at = winner.place[lane];
    const float x0 = to_float(in.pixels[0][lane]), x1 = to_float(in.pixels[1][lane]);
    const float x2 = to_float(in.pixels[2][lane]), x3 = to_float(in.pixels[3][lane]);
    const float upper = at == 1 ? x1 : x0, lower = at == 3 ? x3 : x2;
    const float x = at < 2 ? upper : lower;
    winner.x[lane] = x;
    winner.dz[lane] = activation_gradient<A>(normalize(x, lane), to_float(dy[lane]));
  }
}

// Adds dz and dz (x - mean) of one plane to its sums: floats over a row of windows, doubles over
// the plane.
template <int B, Activation A, class T>
void sum_plane(const BatchNormSpec& s, Normalize<B> normalize, const T* x, const T* dy,
               const std::uint8_t* index, double* sums) {
  for (std::int64_t i = 0; i < s.h / 2; ++i) {
    float terms[2][B] = {};
    for (std::int64_t j = 0; j < s.w / 2; ++j, dy += B, index += B) {
      Winner<B> winner;
      find_winner<A>(normalize, Window<B, const T>(s, x, i, j), dy, index, winner);
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) {
        terms[0][lane] += winner.dz[lane];
        terms[1][lane] += winner.dz[lane] * (winner.x[lane] - normalize.mean[lane]);
      }
    }
    for (int which = 0; which < 2; ++which) {
#pragma omp simd
      for (int lane = 0; lane < B; ++lane) sums[which * B + lane] += terms[which][lane];
    }
  }
}

// One plane of dx; past: it is written past the caches.
template <int B, Activation A, class T>
void write_gradient(const BatchNormSpec& s, Normalize<B> normalize, InputGradient<B> gradient,
                    const T* x, const T* dy, const std::uint8_t* index, T* dx, bool past) {
  typedef std::uint8_t Pixel __attribute__((vector_size(B * sizeof(T))));
  for (std::int64_t i = 0; i < s.h / 2; ++i) {
    for (std::int64_t j = 0; j < s.w / 2; ++j, dy += B, index += B) {
      const Window<B, const T> in(s, x, i, j);
      const Window<B, T> out(s, dx, i, j);
      Winner<B> winner;
      find_winner<A>(normalize, in, dy, index, winner);
      const auto write = [&](int k) {
        T pixel[B];
#pragma omp simd
        for (int lane = 0; lane < B; ++lane) {
          const float dz = winner.place[lane] == k ? winner.dz[lane] : 0.f;
          pixel[lane] = from_float<T>(gradient(to_float(in.pixels[k][lane]), dz, lane));
        }
        Pixel stored;
        std::memcpy(&stored, pixel, sizeof stored);
        if (past) {
          cpu::write<true>(stored, out.pixels[k]);
        } else {
          cpu::write<false>(stored, out.pixels[k]);
        }
      };
      write(0);
      write(1);
      write(2);
      write(3);
    }
  }
}

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* gamma,
                   const void* beta, void* y, void* index, BatchNormStatistics out) {
  const Work work(ctx, s);
  cpu::by_block_and_type(ctx, s, work.v, [&]<class T>(auto block, T) {
    constexpr int B = block.value;
    const auto in = operands<T>(x, nullptr, gamma, beta, out.mean, out.var);
    by_activation(s.activation, [&](auto a) {
      forward_from<B>(work, s, in, out, [&](std::int64_t at, std::int64_t c) {
        pool_plane<B, a.value>(s, normalize_of<B>(work, in, c), in.x + at, as<T>(y) + at / 4,
                               as<std::uint8_t>(index) + at / 4);
      });
    });
  });
}

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* dy,
              const void* index, void* dx, void* dgamma, void* dbeta) {
  const Work work(ctx, s);
  cpu::by_block_and_type(ctx, s, work.v, [&]<class T>(auto block, T) {
    constexpr int B = block.value;
    const auto in = operands<T>(x, nullptr, gamma, beta, mean, var);
    set_scale(work, s, in);
    const bool aligned = reinterpret_cast<std::uintptr_t>(dx) % (B * sizeof(T)) == 0;
    const bool past = aligned && work.v.n * work.v.padded * work.v.hw * std::int64_t{sizeof(T)} >
                                     cpu::past_caches;
    by_activation(s.activation, [&](auto a) {
      in_two_passes<B>(
          work,
          [&](std::int64_t at, std::int64_t c, double* sums) {
            sum_plane<B, a.value>(s, normalize_of<B>(work, in, c), in.x + at, as<T>(dy) + at / 4,
                                  as<std::uint8_t>(index) + at / 4, sums);
          },
          [&](std::int64_t first, const double* totals) {
            finish_backward<B>(work, s, in, first, totals, as<float>(dgamma), as<float>(dbeta));
          },
          [&](std::int64_t at, std::int64_t c) {
            write_gradient<B, a.value>(
                s, normalize_of<B>(work, in, c), input_gradient_of<B>(work, in, c), in.x + at,
                as<T>(dy) + at / 4, as<std::uint8_t>(index) + at / 4, as<T>(dx) + at, past);
            if (past) cpu::end_stores_past_caches();
          });
    });
  });
}

}  // namespace

HAC_CPU_TABLE(BatchNormPoolKernels, batchnorm_pool_cpu,
              {.forward_train = forward_train, .backward = backward})

}  // namespace hac
