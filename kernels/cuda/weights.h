#pragma once
// What stands around the vendor's convolution and GEMM. The engine keeps weights and their
// gradients as plain f32; the device computes on KRSC in the activations' type. Own kernels, so
// simt runs them around its reference loops too.

#include <cstdint>

#include "kernels/context.h"
#include "kernels/conv2d.h"
#include "kernels/types.h"

namespace hac {

struct WeightKernels {
  // w (k, c/groups, r, s) f32 -> (k, r, s, c/groups) of s.dtype, and the gradient back again.
  void (*pack)(Context&, const Conv2dSpec&, const void* w, void* packed);
  void (*unpack)(Context&, const Conv2dSpec&, const void* packed, void* w);
  // y (rows, c) of dtype += bias (c) f32, in place.
  void (*add_bias)(Context&, Dtype, std::int64_t rows, std::int64_t c, const void* bias, void* y);
  // db (c) f32 = column sums of dy (rows, c) of dtype. Uses the context's scratch memory.
  void (*bias_gradient)(Context&, Dtype, std::int64_t rows, std::int64_t c, const void* dy,
                        void* db);
};

extern const WeightKernels weights_cuda, weights_simt;

}  // namespace hac
