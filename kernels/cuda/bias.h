#pragma once
// The bias that stands around the vendor's convolution and GEMM. Own kernels, so simt runs them
// around its reference loops too.

#include <cstdint>

#include "kernels/context.h"
#include "kernels/types.h"

namespace hac {

struct BiasKernels {
  // y (rows, c) of dtype += bias (c) f32, in place.
  void (*add)(Context&, Dtype, std::int64_t rows, std::int64_t c, const void* bias, void* y);
  // db (c) f32 = column sums of dy (rows, c) of dtype. Uses the context's scratch memory.
  void (*gradient)(Context&, Dtype, std::int64_t rows, std::int64_t c, const void* dy, void* db);
};

extern const BiasKernels bias_cuda, bias_simt;

}  // namespace hac
