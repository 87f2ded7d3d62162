#pragma once
// Convolution as one matrix product over the whole batch, for the shapes that oneDNN has reference
// code alone for. With G groups, a row for each output pixel of each image and a column for each
// (u, v, c) under the kernel:
//   cols (n oh ow, R S C/G) = the pixels of x under the kernel, zero outside the image
//   y = cols W^T     dcols = dy W     dW = dy^T cols     W (K/G, R S C/G), a group at a time
// and dx adds up dcols where cols were read. Images are taken in parts whose cols stay small; the
// sum of their products is the same.

#include "kernels/ops/conv2d.h"

namespace hac::cpu {

struct ProductSizes {
  std::int64_t images = 1;                      // in a part
  std::size_t cols = 0, rows = 0, weights = 0;  // floats: of a part, of its y or dy, of all W
  std::size_t bytes() const { return (cols + rows + weights) * sizeof(float); }
};
ProductSizes product_sizes(const Conv2dSpec& spec);

// (K, C/G, R, S) to (K, R, S, C/G) and back.
void product_pack(const Conv2dSpec& spec, const float* w, float* packed);
void product_unpack(const Conv2dSpec& spec, const float* packed, float* w);

// x, y in layout_of(cpu, shape). work: product_sizes(spec).bytes(). bias may be null. With an
// epilogue that adds, y holds what is added to.
void product_forward(const Conv2dSpec& spec, const float* x, const float* packed, const float* bias,
                     float* y, float* work);
void product_backward_data(const Conv2dSpec& spec, const float* dy, const float* packed, float* dx,
                           float* work);
// dw is packed; db may be null.
void product_backward_weights(const Conv2dSpec& spec, const float* x, const float* dy, float* dw,
                              float* db, float* work);

}  // namespace hac::cpu
