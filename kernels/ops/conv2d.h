#pragma once
// 2-D convolution (cross-correlation) with zero padding, stride and groups.
//
//   y[n,k,i,j] = bias[k] + sum_{c,u,v} w[k,c,u,v] * x[n, g*C/G + c, i*stride + u - pad,
//                                                     j*stride + v - pad],  g = k / (K/G)
//   dx, dw, db are its adjoints; db[k] = sum_{n,i,j} dy[n,k,i,j].
//
// Shapes: x (n, c, h, w), w (k, c/groups, r, s), bias (k), y (n, k, oh, ow),
//   oh = (h + 2 pad - r) / stride + 1 rounded down.
// Layout: x in input_layout() (conv2d_channels.h), y and dx in layout_of(device, shape), w and dw
//   in weight_layout(device). On the CPU 1-D operands must be readable up to the next multiple of
//   64 bytes (every Storage is); other devices read not a byte past an operand.
// Types: of the spec's dtype, but db f32, and f32 what pack() is given.

#include <string>

#include "kernels/core/activation.h"
#include "kernels/core/context.h"
#include "kernels/core/spec.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

enum class Pass : std::uint8_t { forward, inference, backward_data, backward_weights };

struct Conv2dSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, c = 1, h = 1, w = 1;  // input
  std::int64_t k = 1, r = 3, s = 3;         // output channels, kernel height and width
  std::int64_t stride = 1, pad = 1, groups = 1;
  // What inference fuses behind the convolution: + bias, + residual where `add`, activation.
  bool bias = false, add = false;
  Activation activation = Activation::none;
  Pass pass = Pass::forward;

  auto operator<=>(const Conv2dSpec&) const = default;
  std::int64_t oh() const { return (h + 2 * pad - r) / stride + 1; }
  std::int64_t ow() const { return (w + 2 * pad - s) / stride + 1; }
  Shape in_shape() const { return {n, c, h, w}; }
  Shape weight_shape() const { return {k, c / groups, r, s}; }
  Shape out_shape() const { return {n, k, oh(), ow()}; }
  bool available() const { return has_kernels(activation); }
  bool depthwise() const { return groups == c && c != 1; }
  bool fuses() const { return bias || add || activation != Activation::none; }
  std::string_view kind() const { return "conv2d"; }
  Cost cost() const;
  std::string str() const;  // "conv2d:f32,n128c64h32w32,k128r3s3,st1p1g1,bias"
  bool parse(std::string_view text);
  Widths widths() const { return {c, k}; }
  Conv2dSpec with(Widths widths) const;
  std::int64_t macs_inside() const;  // of cost().macs those not with padding
  void validate() const;             // throws ShapeError
};

struct ConvImplementation {
  std::string name;  // as the library reports it
  // Multiply-accumulates that it really does: what the device's peak bounds. Direct convolution
  // leaves out those with padding, Winograd's filtering has fewer; of a GPU's plans no name says
  // it, and the count is cost().macs.
  std::int64_t multiplications = 0;
};
// Of dw and of the weights that a pass is given.
inline Dtype weight_dtype(const Conv2dSpec& s) {
  return s.pass == Pass::inference ? Dtype::f32 : s.dtype;
}

struct Conv2dKernels {
  void (*forward)(Context&, const Conv2dSpec&, const void* x, const void* w, const void* bias,
                  void* y);
  void (*backward_data)(Context&, const Conv2dSpec&, const void* dy, const void* w, void* dx);
  // db is null without bias.
  void (*backward_weights)(Context&, const Conv2dSpec&, const void* x, const void* dy, void* dw,
                           void* db);
  // Inference: weights and bias (null without), both f32, are packed once into the form that the
  // kernel wants.
  std::size_t (*packed_bytes)(Context&, const Conv2dSpec&);
  void (*pack)(Context&, const Conv2dSpec&, const void* w, const void* bias, void* packed);
  // residual: same shape and layout as y, null without add. y may alias residual.
  void (*inference)(Context&, const Conv2dSpec&, const void* x, const void* packed,
                    const void* residual, void* y);
  // What is chosen for this spec and pass.
  ConvImplementation (*implementation)(Context&, const Conv2dSpec&);
};

// What cuda and simt pack: the weights, and the bias, in the activations' type (conv2d_channels.h
// pads them); where there is none but something else is fused, zeros, which cuDNN adds.
namespace packed {
std::size_t bias_at(const Conv2dSpec&);
std::size_t bytes(Context&, const Conv2dSpec&);
void pack(Context&, const Conv2dSpec&, const void* w, const void* bias, void* packed);
}  // namespace packed

HAC_BACKENDS(Conv2dKernels, conv2d)

}  // namespace hac
