#pragma once
// Which block of several is the last to be done, and so may add up what all of them left.

#include "kernels/device/device.cuh"

namespace hac::HAC_GPU {

// True in all threads of the block that comes last of `blocks`: it sees what the others stored
// before. All threads of a block come. ticket: Context::tickets; shared: one unsigned.
template <class Shared>
__device__ inline bool is_last_block(unsigned* ticket, std::int64_t blocks, Shared& shared) {
  const unsigned last = static_cast<unsigned>(blocks - 1);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) shared[0] = atomicInc(ticket, last);
  __syncthreads();
  const unsigned drawn = shared[0];
  if (drawn != last) return false;
  __threadfence();
  return true;
}

}  // namespace hac::HAC_GPU
