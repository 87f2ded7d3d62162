#include "kernels/ops/linear.h"

#include <fmt/format.h>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "engine/device/overlap.h"

namespace hac::ops {

Var linear(const Var& x, const Var& weight, const Var& bias) {
  check_rank("linear", weight.name(), x.shape(), 2);
  check_rank("linear", weight.name(), weight.shape(), 2);
  if (x.shape()[1] != weight.shape()[1]) {
    throw ShapeError(fmt::format("linear '{}': input has {} features, weight {} expects {}",
                                 weight.name(), x.shape()[1], weight.shape().str(),
                                 weight.shape()[1]));
  }
  if (bias.defined() && bias.shape() != Shape{weight.shape()[0]}) {
    throw ShapeError(fmt::format("linear '{}': bias {}, expected ({})", weight.name(),
                                 bias.shape().str(), weight.shape()[0]));
  }
  const LinearSpec spec{.dtype = x.value().dtype(),
                        .n = x.shape()[0],
                        .in = x.shape()[1],
                        .out = weight.shape()[0],
                        .bias = bias.defined()};
  const Device device = x.device();
  const Tensor w = weight.value_as(spec.dtype);
  const Tensor b = bias.defined() ? bias.value_as(spec.dtype) : Tensor();
  Tensor y = Tensor::empty(spec.out_shape(), spec.dtype, device);
  linear_kernels.run(&LinearKernels::forward, device, spec, x.value().data(), w.data(),
                     data_or_null(b), y.data());
  const bool want_dx = x.requires_grad();
  return make_var("linear", y, {x, weight, bias},
                  [=, in = x.value()](const Tensor& dy) -> std::vector<Tensor> {
                    Tensor dx, db, dw = Tensor::empty(w.shape(), Dtype::f32, device);
                    if (spec.bias) db = Tensor::empty({spec.out}, Dtype::f32, device);
                    const auto weights = [&] {
                      linear_kernels.run(&LinearKernels::backward_weights, device, spec, in.data(),
                                         dy.data(), dw.data(), data_or_null(db));
                    };
                    const auto data = [&] {
                      linear_kernels.run(&LinearKernels::backward_data, device, spec, dy.data(),
                                         w.data(), dx.data());
                    };
                    if (want_dx) {
                      dx = Tensor::empty(spec.in_shape(), spec.dtype, device);
                      overlap(device, weights, data);
                    } else {
                      weights();
                    }
                    return {dx, dw, db};
                  });
}

}  // namespace hac::ops
