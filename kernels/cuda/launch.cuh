#pragma once
// The GPU side of device.cuh.

#include <type_traits>
#include <utility>

#include "kernels/cuda/check.h"

#define HAC_SHARED(T, name, n) __shared__ T name[n]

namespace hac::cuda {

template <class T>
__device__ inline T load(const T* p) {
  return *p;
}

template <class T>
__device__ inline void store(T* p, std::common_type_t<T> v) {
  *p = v;
}

template <class... Params, class... Args>
void launch(Context& ctx, const Launch& how, void (*kernel)(Params...), Args&&... args) {
  kernel<<<static_cast<unsigned>(how.grid), how.block, 0, stream_of(ctx)>>>(
      static_cast<Params>(std::forward<Args>(args))...);
  check_launch(how.name, how.grid, how.block);
}

}  // namespace hac::cuda
