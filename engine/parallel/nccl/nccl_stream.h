#pragma once

#include <cuda_runtime.h>

#include "kernels/core/context.h"

namespace hac {

// The stream of a context, as NCCL is given it. Of the library; a test's stand-in of NCCL has its
// own.
cudaStream_t nccl_stream(Context& ctx);

}  // namespace hac
