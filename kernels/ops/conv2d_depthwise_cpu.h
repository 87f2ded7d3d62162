#pragma once
// Depthwise convolution by its definition (conv2d.h), a block of channels a vector:
//   y[p] = bias + sum_{u,v} w[u,v] x[pixel of p under (u,v)]
// Neighbouring outputs keep their sums in registers: a tile of one row, which meets the rows of the
// weights one by one and loads an input once for each; with AVX-512, which has room for all weights
// of 3x3, a strip of four rows with stride 1, which loads an input once. Backward data gathers:
// with stride 1 it is the same convolution of dy by the weights turned; with stride 2 a pixel of dx
// meets the taps of its parity in dy. Of the gradient of the weights,
//   dw[u,v] = sum_p dy[p] x[pixel of p under (u,v)]
// it is the sums over p that stay in registers. They are taken over parts of the batch that do not
// depend on the number of threads, and added in order.

#include "kernels/ops/conv2d.h"

namespace hac::cpu {

// Rows of y of all images that a sum of backward_weights runs over, of one block of channels.
struct DepthwiseParts {
  std::int64_t count = 1;
  std::size_t floats = 0;  // of all parts' sums
};

// f32, 3x3 or 5x5, stride 1 or 2, padded by half the kernel, a channel of y for each of x, in
// blocks of vector_lanes(); nothing added to; backward data with stride 2 of even width.
bool has_depthwise(const Conv2dSpec& spec);
std::size_t depthwise_weights(const Conv2dSpec& spec);  // floats, packed
DepthwiseParts depthwise_parts(const Conv2dSpec& spec);

struct DepthwiseKernels {
  // w (C, 1, R, S) to (blocks of C, R, S, C of the block), turned where that is backward data.
  void (*pack)(const Conv2dSpec&, const float* w, float* packed);
  // forward and inference: x to y; backward_data: dy to dx. bias may be null.
  void (*convolve)(const Conv2dSpec&, const float* x, const float* packed, const float* bias,
                   float* y);
};
extern const DepthwiseKernels depthwise_loops;

struct DepthwiseGradient {
  // dw (C, 1, R, S); db may be null. work: the floats of depthwise_parts().
  void (*weights)(const Conv2dSpec&, const float* x, const float* dy, float* dw, float* db,
                  float* work);
};
extern const DepthwiseGradient depthwise_gradient;

}  // namespace hac::cpu
