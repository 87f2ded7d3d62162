#pragma once
// The gradient of a bias, which the vendor's libraries do not promise in a fixed order. An own
// kernel, so simt runs it too.

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/types.h"

namespace hac {

struct BiasGradientKernel {
  // db (c) f32 = column sums of dy (rows, c) of dtype. Uses the context's scratch memory.
  void (*apply)(Context&, Dtype, std::int64_t rows, std::int64_t c, const void* dy, void* db);
};

extern const BiasGradientKernel bias_gradient_cuda, bias_gradient_simt;

}  // namespace hac
