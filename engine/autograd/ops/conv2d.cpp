#include "kernels/ops/conv2d.h"

#include <fmt/format.h>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "engine/device/overlap.h"
#include "kernels/ops/conv2d_channels.h"

namespace hac::ops {
namespace {

Conv2dSpec spec_of(const Var& x, const Var& weight, const Var& bias, Conv2dOptions o) {
  check_rank("conv2d", weight.name(), x.shape(), 4);
  check_rank("conv2d", weight.name(), weight.shape(), 4);
  const Shape &in = x.shape(), &w = weight.shape();
  if (in[1] != w[1] * o.groups || w[0] % o.groups != 0) {
    throw ShapeError(
        fmt::format("conv2d '{}': input has {} channels, weight {} with groups {} "
                    "expects {}",
                    weight.name(), in[1], w.str(), o.groups, w[1] * o.groups));
  }
  if (bias.defined() && bias.shape() != Shape{w[0]}) {
    throw ShapeError(fmt::format("conv2d '{}': bias {}, expected ({})", weight.name(),
                                 bias.shape().str(), w[0]));
  }
  const Conv2dSpec spec{.dtype = x.value().dtype(),
                        .n = in[0],
                        .c = in[1],
                        .h = in[2],
                        .w = in[3],
                        .k = w[0],
                        .r = w[2],
                        .s = w[3],
                        .stride = o.stride,
                        .pad = o.pad,
                        .groups = o.groups,
                        .bias = bias.defined()};
  spec.validate();
  return spec;
}

}  // namespace

Var conv2d(const Var& x, const Var& weight, const Var& bias, Conv2dOptions options) {
  const Conv2dSpec spec = spec_of(x, weight, bias, options);
  const Device device = x.device();
  const Tensor in = x.value().to(input_layout(device, spec));
  const Tensor w = weight.value_as(spec.dtype).to(weight_layout(device));
  const Tensor b = bias.defined() ? bias.value_as(spec.dtype) : Tensor();
  Tensor y = Tensor::activation(spec.out_shape(), spec.dtype, device);
  conv2d_kernels.run(&Conv2dKernels::forward, device, spec, in.data(), w.data(), data_or_null(b),
                     y.data());

  // A gradient has the layout of its value.
  const Layout x_layout = x.value().layout(), w_layout = weight.value().layout();
  const bool want_dx = x.requires_grad(), want_db = bias.requires_grad();
  const bool zero_db = options.normalized;
  return make_var("conv2d", y, {x, weight, bias}, [=](const Tensor& dy) -> std::vector<Tensor> {
    Tensor dx, db;
    const Tensor dw = Tensor::empty(w.shape(), spec.dtype, device, w.layout());
    if (want_db) db = Tensor::empty({spec.k}, Dtype::f32, device);
    if (want_db && zero_db) db.zero();
    const auto weights = [&] {
      conv2d_kernels.run(&Conv2dKernels::backward_weights, device, spec, in.data(), dy.data(),
                         dw.data(), zero_db ? nullptr : data_or_null(db));
    };
    const auto data = [&] {
      conv2d_kernels.run(&Conv2dKernels::backward_data, device, spec, dy.data(), w.data(),
                         dx.data());
    };
    if (want_dx) {
      dx = Tensor::activation(spec.in_shape(), spec.dtype, device);
      overlap(device, weights, data);
      dx = dx.to(x_layout);
    } else {
      weights();
    }
    const bool rounded = device.kind != DeviceKind::cpu;  // whoever reads it reads both
    return {dx, (rounded ? dw : dw.cast(Dtype::f32)).to(w_layout), db};
  });
}

}  // namespace hac::ops
