#pragma once
// The GPU side of device.cuh.

#include <type_traits>
#include <utility>

#include "kernels/cuda/check.h"

#define HAC_SHARED(T, name, n) __shared__ T name[n]

namespace hac::cuda {

// CUDA's vector type of that many bytes: what nvcc never takes apart.
template <std::size_t bytes>
struct Vector {};
template <>
struct Vector<8> {
  using Type = uint2;
};
template <>
struct Vector<16> {
  using Type = uint4;
};
template <class T>
constexpr bool is_vector = alignof(T) == sizeof(T) &&
                           (sizeof(T) == 8 || sizeof(T) == 16) && std::is_class_v<T>;

template <class T>
__device__ inline T load(const T* p) {
  if constexpr (is_vector<T>) {
    using V = typename Vector<sizeof(T)>::Type;
    const V vector = *reinterpret_cast<const V*>(p);
    T value;
    memcpy(&value, &vector, sizeof value);
    return value;
  } else {
    return *p;
  }
}

template <class T>
__device__ inline void store(T* p, std::common_type_t<T> v) {
  if constexpr (is_vector<T>) {
    using V = typename Vector<sizeof(T)>::Type;
    V vector;
    memcpy(&vector, &v, sizeof vector);
    *reinterpret_cast<V*>(p) = vector;
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
