#pragma once
// Vectors of 16 bytes a thread, and twice that where f32 numbers go with 16-bit ones.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

#include "kernels/core/error.h"
#include "kernels/core/types.h"
#include "kernels/device/device.cuh"

namespace hac::HAC_GPU {

// At 16 bytes even where it is longer, as by_vector() promises: a GPU moves no more at once.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Packed {
  T v[N];
};

// Elements of a 16-byte vector of T.
template <class T>
constexpr int full_vector = 16 / static_cast<int>(sizeof(T));

// N consecutive elements; p must be aligned as they are.
template <int N, class T>
__device__ inline Packed<T, N> load_packed(const T* p) {
  return load(reinterpret_cast<const Packed<T, N>*>(p));
}

// The same as floats.
template <int N>
struct Floats {
  float v[N];
};

template <class T, int N>
__device__ inline Floats<N> floats(const Packed<T, N>& packed) {
  Floats<N> out;
  HAC_UNROLL
  for (int i = 0; i < N; ++i) out.v[i] = to_float(packed.v[i]);
  return out;
}

template <int N, class T>
__device__ inline Floats<N> load_floats(const T* p) {
  return floats(load_packed<N>(p));
}

template <int N, class T>
__device__ inline void store_floats(T* p, const Floats<N>& values) {
  Packed<T, N> packed;
  HAC_UNROLL
  for (int i = 0; i < N; ++i) packed.v[i] = from_float<T>(values.v[i]);
  store(reinterpret_cast<Packed<T, N>*>(p), packed);
}

// In an order that is always the same.
template <class T>
__device__ inline T warp_sum(T v) {
  for (int lanes = 16; lanes > 0; lanes /= 2) v += __shfl_xor_sync(0xFFFFFFFFu, v, lanes);
  return v;
}

// Places within one tensor are counted in 32 bits: a GPU divides 64 in some hundred instructions.
using Offset = std::int32_t;

// The first of this thread's elements, where each thread has N.
template <int N = 1>
__device__ inline Offset own_element() {
  return static_cast<Offset>((static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) *
                             N);
}

// Throws ShapeError where a tensor has more elements than an Offset and a last block can count.
inline void require_offsets(const char* name, std::int64_t elements) {
  constexpr std::int64_t most =
      std::numeric_limits<Offset>::max() - std::int64_t{256} * full_vector<std::uint8_t>;
  if (elements <= most) return;
  throw ShapeError("kernel '" + std::string(name) + "': expected tensors of at most " +
                   std::to_string(most) + " elements, got " + std::to_string(elements));
}

// One thread for every `each` of n elements; throws as require_offsets.
inline Launch launch_over(const char* name, std::int64_t n, int each = 1) {
  require_offsets(name, n);
  return {.name = name, .grid = ceil_div(n, 256 * each), .block = 256, .barriers = false};
}

// A slice of a tensor may begin anywhere.
__host__ __device__ inline bool aligned(const void* p, std::size_t bytes = 16) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

// run(T{}, std::integral_constant<int, N>()) with N a full vector where `divisible` is a multiple
// of it and every operand that is accessed in vectors (those that are null count as well) begins at
// 16 bytes, else 1.
template <class Run>
void by_vector(Dtype dtype, std::int64_t divisible, std::initializer_list<const void*> operands,
               Run run) {
  const bool begin_well =
      std::all_of(operands.begin(), operands.end(), [](const void* p) { return aligned(p); });
  by_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    if (begin_well && divisible % full_vector<T> == 0) {
      run(t, std::integral_constant<int, full_vector<T>>());
    } else {
      run(t, std::integral_constant<int, 1>());
    }
  });
}

}  // namespace hac::HAC_GPU
