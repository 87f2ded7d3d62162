#pragma once
// The GPU side of device.cuh.

#include <type_traits>
#include <utility>

#include "kernels/cuda/check.h"

#define HAC_SHARED(T, name, n) __shared__ T name[n]

namespace hac::cuda {

// CUDA's vector types are what nvcc never takes apart: a structure aligned to its size travels as
// one of 8 bytes, or as one or more of 16.
template <class T>
constexpr bool is_vector = std::is_class_v<T> && alignof(T) == sizeof(T) && sizeof(T) >= 8;

template <class T>
using Vector = std::conditional_t<sizeof(T) == 8, uint2, uint4>;

template <class T>
__device__ inline T load(const T* p) {
  if constexpr (is_vector<T>) {
    using V = Vector<T>;
    constexpr int n = sizeof(T) / sizeof(V);
    V parts[n];
    for (int i = 0; i < n; ++i) parts[i] = reinterpret_cast<const V*>(p)[i];
    T value;
    memcpy(&value, parts, sizeof value);
    return value;
  } else {
    return *p;
  }
}

template <class T>
__device__ inline void store(T* p, std::common_type_t<T> v) {
  if constexpr (is_vector<T>) {
    using V = Vector<T>;
    constexpr int n = sizeof(T) / sizeof(V);
    V parts[n];
    memcpy(parts, &v, sizeof v);
    for (int i = 0; i < n; ++i) reinterpret_cast<V*>(p)[i] = parts[i];
  } else {
    *p = v;
  }
}

template <class... Params, class... Args>
void launch(Context& ctx, const Launch& how, void (*kernel)(Params...), Args&&... args) {
  kernel<<<static_cast<unsigned>(how.grid), how.block, 0, stream_of(ctx)>>>(
      static_cast<Params>(std::forward<Args>(args))...);
  check_launch(how.name, how.grid, how.block);
}

}  // namespace hac::cuda
