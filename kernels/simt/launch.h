#pragma once
// The host side of device.cuh: CUDA's words for the executor (executor.h).

#include <atomic>
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
#define __launch_bounds__(...)
#define HAC_UNROLL
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

inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

inline unsigned atomicInc(unsigned* p, unsigned most,
                          hac::simt::Place at = hac::simt::Place::here()) {
  hac::simt::access(p, sizeof *p, hac::simt::Access::load, at);
  hac::simt::access(p, sizeof *p, hac::simt::Access::store, at);
  const std::atomic_ref<unsigned> value(*p);
  unsigned before = value.load();
  while (!value.compare_exchange_weak(before, before >= most ? 0 : before + 1)) {
  }
  return before;
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
