#pragma once
// Whether this machine has a GPU: some tests want one, some want none.

#include "kernels/core/runtime.h"

namespace hac {

inline bool gpu_present() { return runtime_cuda.count && runtime_cuda.count(nullptr) > 0; }

}  // namespace hac
