#pragma once
// Pooling of any windows on the CPU: by oneDNN (pool2d_onednn_cpu.cpp) or, in a build without it,
// by own loops in f32 (pool_windows_cpu.cpp). Specs are as in pool2d.h; the form of an index is its
// own.

#include "kernels/ops/pool2d.h"

namespace hac::cpu {

extern const Pool2dKernels pool_windows;

}  // namespace hac::cpu
