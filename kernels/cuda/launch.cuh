#pragma once
// The GPU side of device.cuh.

#include <type_traits>
#include <utility>

#include "kernels/cuda/check.h"

#define HAC_SHARED(T, name, n) __shared__ T name[n]
#define HAC_UNROLL _Pragma("unroll")

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

// Until all that the stream was given before is done and seen, however early this kernel was
// started; from there on the next one may be. (CUDA C++ Programming Guide, Programmatic Dependent
// Launch.)
__device__ inline void wait_for_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// By a call instead of <<< >>>, whose errors show only beside those that others left.
template <class... Params>
cudaError_t start(Context& ctx, const Launch& how, void (*kernel)(Params...), Params... params) {
  void* pointers[] = {static_cast<void*>(&params)...};
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(how.grid));
  config.blockDim = dim3(static_cast<unsigned>(how.block));
  config.stream = stream_of(ctx);
  config.attrs = &early;
  config.numAttrs = launches_early(ctx) ? 1 : 0;
  return cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), pointers);
}

template <class... Params, class... Args>
void launch(Context& ctx, const Launch& how, void (*kernel)(Params...), Args&&... args) {
  const cudaError_t error =
      start<Params...>(ctx, how, kernel, static_cast<Params>(std::forward<Args>(args))...);
  check_launch(error, how.name, how.grid, how.block);
}

}  // namespace hac::cuda
