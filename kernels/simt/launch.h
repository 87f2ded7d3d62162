#pragma once
// The host side of device.cuh: CUDA's words for the executor (executor.h).

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "kernels/simt/executor.h"
#include "kernels/simt/record.h"
#include "kernels/simt/shared_array.h"

// NOLINTBEGIN(bugprone-reserved-identifier,bugprone-macro-parentheses): the names are CUDA's.
#define __global__
#define __device__
#define __host__
// The tag's address tells the arrays of a block apart, also those of a template's instances.
#define HAC_SHARED(T, name, n) \
  static char name##_tag;      \
  const ::hac::simt::SharedArray<T, n> name(&name##_tag)

#define threadIdx (::hac::simt::thread().index)
#define blockIdx (::hac::simt::thread().block_index)
#define blockDim (::hac::simt::thread().block_size)
#define gridDim (::hac::simt::thread().grid_size)

// The mask of every warp operation must be full; lanes that have returned may be in it.

inline void __syncthreads(hac::simt::Place at = hac::simt::Place::here()) {
  hac::simt::barrier(at);
}
inline void __syncwarp(unsigned = 0xFFFFFFFFu, hac::simt::Place at = hac::simt::Place::here()) {
  hac::simt::warp_barrier(at);
}

template <class T>
T __shfl_xor_sync(unsigned, T value, int lane_mask,
                  hac::simt::Place at = hac::simt::Place::here()) {
  return hac::simt::exchange(value, (hac::simt::lane() ^ lane_mask) % 32, at);
}

// NOLINTEND(bugprone-reserved-identifier,bugprone-macro-parentheses)

namespace hac::simt {

template <class T>
T load(const T* p, Place at = Place::here()) {
  access(p, sizeof(T), Access::load, at);
  return *p;
}

template <class T>
void store(T* p, std::type_identity_t<T> v, Place at = Place::here()) {
  access(p, sizeof(T), Access::store, at);
  *p = v;
}

template <class... Params, class... Args>
void launch(Context& ctx, const Launch& how, void (*kernel)(Params...), Args&&... args) {
  static_assert((std::is_trivially_copyable_v<Params> && ...), "parameters are copied as bytes");
  const Device device = ctx.device();
  submit(ctx, [=, values = std::tuple<Params...>(static_cast<Params>(args)...)] {
    run(device, how, [&] { std::apply(kernel, values); });
  });
}

}  // namespace hac::simt
