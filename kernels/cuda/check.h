#pragma once
// CUDA calls that cannot be overlooked.

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "kernels/core/context.h"

namespace hac::cuda {

cudaStream_t stream_of(Context& ctx);
bool launches_early(Context& ctx);  // early_launches

// A kernel's fault: it shows at whatever call comes next, and no call of this process to the device
// succeeds after it.
bool is_sticky(cudaError_t error);

// What a message says of a sticky error beyond its name; "" of another.
std::string consequence(cudaError_t error);

// Throws DeviceError (OutOfMemory when memory runs out) naming the call, what it was for and CUDA's
// own words. An error that is not sticky is cleared, so that the next call does not report it; of a
// sticky one the message says that earlier work may be to blame and the device is gone.
void check(cudaError_t error, const char* call, const char* what);

// The same of what launching a kernel returned: an error that others left behind is not its own.
void check_launch(cudaError_t error, const char* kernel, std::int64_t grid, int block);

}  // namespace hac::cuda
