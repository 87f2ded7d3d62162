#pragma once
// A Conv2dSpec in cuDNN's words: the convolution, and behind it what inference fuses.
//
// Operands, all dense, dtype of the spec, 16-byte aligned (cuDNN 9.19 offers nothing for less):
//   x, y, residual  (n, h, w, c) in memory; they are the gradients dx, dy in the backward passes
//   w               (k, r, s, c/groups); dw in backward_weights
//   bias            (k); of the same dtype, or only run-time compiled engines are left
// Sums are in f32, also between the fused steps.
//
// inference fuses y = relu(conv(x, w) + residual + bias) in exactly this order, the one that cuDNN
// has compiled. With an epilogue there is always a bias operand, whatever spec.bias says:
// convolution + ReLU without a bias exists only run-time compiled. Pass zeros (has_bias tells).

#include "kernels/cuda/backend.h"
#include "kernels/ops/conv2d.h"

namespace hac::cuda {

enum class Operand : std::int64_t { x = 'x', w = 'w', y = 'y', bias = 'b', residual = 'z' };

bool has_bias(const Conv2dSpec& spec);  // as planned; see above
bool has_residual(const Conv2dSpec& spec);

// The finalised operation graph; tensors have the unique ids of Operand. Throws ShapeError for a
// bad spec or a tensor of 2^31 elements and more, DeviceError where cuDNN refuses.
Descriptor conv_graph(const PlanDevice& device, const Conv2dSpec& spec);

}  // namespace hac::cuda
