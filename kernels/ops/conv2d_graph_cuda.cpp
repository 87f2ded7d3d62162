#include "kernels/ops/conv2d_graph_cuda.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "kernels/core/error.h"

namespace hac::cuda {
namespace {

using Dims = std::array<std::int64_t, 4>;

template <std::size_t N>
std::span<const std::int64_t> span_of(const std::array<std::int64_t, N>& values) {
  return values;
}

cudnnDataType_t data_type(const Conv2dSpec& s) {
  constexpr cudnnDataType_t types[] = {CUDNN_DATA_FLOAT, CUDNN_DATA_BFLOAT16, CUDNN_DATA_HALF};
  if (s.dtype <= Dtype::f16) return types[static_cast<int>(s.dtype)];
  throw ShapeError(fmt::format("{}: expected f32, bf16 or f16", s.str()));
}

Dims dims_of(const Shape& s) { return {s[0], s[1], s[2], s[3]}; }

// Channels innermost, whatever the operand.
Descriptor tensor(Operand id, cudnnDataType_t type, const Dims& d, bool is_virtual = false) {
  const Dims strides{d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]};
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<std::int64_t>(id))
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, span_of(d))
      .set(CUDNN_ATTR_TENSOR_STRIDES, span_of(strides))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16})
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual)
      .finalize();
  return t;
}

Descriptor convolution(const Conv2dSpec& s) {
  const std::array<std::int64_t, 2> pad{s.pad, s.pad}, stride{s.stride, s.stride}, one{1, 1};
  Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, span_of(pad))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, span_of(pad))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, span_of(stride))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, span_of(one))
      .finalize();
  return c;
}

// The three convolutions differ in nothing but the names of their attributes.
struct ConvolutionNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
};

ConvolutionNames names_of(Pass pass) {
  if (pass == Pass::backward_data) {
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  }
  if (pass == Pass::backward_weights) {
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
}

Descriptor conv_operation(const Conv2dSpec& s, const Descriptor& y) {
  const cudnnDataType_t type = data_type(s);
  const ConvolutionNames names = names_of(s.pass);
  Descriptor op(names.type);
  op.set(names.conv, convolution(s))
      .set(names.x, tensor(Operand::x, type, dims_of(s.in_shape())))
      .set(names.w, tensor(Operand::w, type, dims_of(s.weight_shape())))
      .set(names.y, y)
      .set(names.alpha, 1.0f)
      .set(names.beta, 0.0f)
      .finalize();
  return op;
}

cudnnPointwiseMode_t mode_of(Activation activation) {
  return activation == Activation::silu ? CUDNN_POINTWISE_SWISH_FWD : CUDNN_POINTWISE_RELU_FWD;
}

// y = x + b, or activation(x) where there is no b.
Descriptor pointwise(Activation activation, const Descriptor& x, const Descriptor& b,
                     const Descriptor& y) {
  Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, b.handle() ? CUDNN_POINTWISE_ADD : mode_of(activation))
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (!b.handle() && activation == Activation::relu6) {
    how.set(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 6.0);
  }
  how.finalize();
  Descriptor op(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (b.handle()) op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
  op.finalize();
  return op;
}

void check_sizes(const Conv2dSpec& s) {
  s.validate();
  // cuDNN's kernels index with 32 bits and write out of bounds beyond.
  for (const Shape& shape : {s.in_shape(), s.weight_shape(), s.out_shape()}) {
    if (shape.numel() > std::numeric_limits<std::int32_t>::max()) {
      throw ShapeError(
          fmt::format("{}: expected tensors of fewer than 2^31 elements, got {} "
                      "(hint: a smaller batch)",
                      s.str(), shape.str()));
    }
  }
}

}  // namespace

bool has_residual(const Conv2dSpec& s) { return s.pass == Pass::inference && s.add; }

bool has_bias(const Conv2dSpec& s) { return s.pass == Pass::inference && s.fuses(); }

Descriptor conv_graph(const PlanDevice& device, const Conv2dSpec& s) {
  check_sizes(s);
  const cudnnDataType_t type = data_type(s);
  const Dims out = dims_of(s.out_shape());
  // What follows the convolution: what is added, or none for the activation.
  std::vector<Descriptor> tail;
  if (has_residual(s)) tail.push_back(tensor(Operand::residual, type, out));
  if (has_bias(s)) tail.push_back(tensor(Operand::bias, type, {1, s.k, 1, 1}));
  if (s.pass == Pass::inference && s.activation != Activation::none) tail.emplace_back();
  // All values but the last are virtual: they never reach memory, and are f32.
  const auto value = [&](std::size_t i) {
    return i == tail.size() ? tensor(Operand::y, type, out)
                            : tensor(static_cast<Operand>(i + 1), CUDNN_DATA_FLOAT, out, true);
  };
  std::vector<Descriptor> operations;
  Descriptor from = value(0);
  operations.push_back(conv_operation(s, from));
  for (std::size_t i = 0; i < tail.size(); ++i) {
    Descriptor to = value(i + 1);
    operations.push_back(pointwise(s.activation, from, tail[i], to));
    from = std::move(to);
  }
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  device.set_on_graph(graph);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, std::span<const Descriptor>(operations)).finalize();
  return graph;
}

}  // namespace hac::cuda
