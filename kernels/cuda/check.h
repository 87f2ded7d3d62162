#pragma once
// CUDA calls that cannot be overlooked.

#include <cuda_runtime.h>

#include "kernels/context.h"

namespace hac::cuda {

cudaStream_t stream_of(Context& ctx);

// Throws DeviceError (OutOfMemory for want of memory) naming the call, what it was for and CUDA's
// own words; an error that is not sticky is cleared.
void check(cudaError_t error, const char* call, const char* what);

}  // namespace hac::cuda
