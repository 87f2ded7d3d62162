#include <fmt/format.h>

#include "engine/ops.h"
#include "engine/ops/check.h"
#include "kernels/elementwise.h"

namespace hac::ops {
namespace {

Tensor like(const Tensor& t) { return Tensor::empty(t.shape(), t.dtype(), t.device(), t.layout()); }

ElementwiseSpec spec_of(const Tensor& t) {
  return {.dtype = t.dtype(), .elements = t.storage_numel()};
}

}  // namespace

Var cast(const Var& x, Dtype dtype) {
  const Dtype from = x.value().dtype();
  if (from == dtype) return x;
  return make_var("cast", x.value().cast(dtype), {x},
                  [from](const Tensor& dy) -> std::vector<Tensor> { return {dy.cast(from)}; });
}

Var relu(const Var& x) {
  const Tensor in = x.value();
  const ElementwiseSpec spec = spec_of(in);
  const Device device = x.device();
  Tensor y = like(in);
  elementwise_kernels.run(&ElementwiseKernels::relu, device, spec, in.data(), y.data());
  return make_var("relu", y, {x}, [=](const Tensor& dy) -> std::vector<Tensor> {
    Tensor dx = like(y);
    elementwise_kernels.run(&ElementwiseKernels::relu_backward, device, spec, y.data(), dy.data(),
                            dx.data());
    return {dx};
  });
}

Var add(const Var& a, const Var& b) {
  if (a.shape() != b.shape()) {
    throw ShapeError(fmt::format("add: shapes {} and {}", a.shape().str(), b.shape().str()));
  }
  const Tensor left = a.value(), right = b.value().to(left.layout());
  const ElementwiseSpec spec = spec_of(left);
  Tensor y = like(left);
  elementwise_kernels.run(&ElementwiseKernels::add, a.device(), spec, left.data(), right.data(),
                          y.data());
  const Layout layout = b.value().layout();
  return make_var("add", y, {a, b}, [layout](const Tensor& dy) -> std::vector<Tensor> {
    return {dy, dy.to(layout)};
  });
}

Var flatten(const Var& x) {
  check_rank("flatten", x.name(), x.shape(), 4);
  const Shape in = x.shape();
  const Layout layout = x.value().layout();
  const Tensor y = x.value().plain().reshape({in[0], in[1] * in[2] * in[3]});
  return make_var("flatten", y, {x}, [in, layout](const Tensor& dy) -> std::vector<Tensor> {
    return {dy.reshape(in).to(layout)};
  });
}

Var dropout(const Var& x, DropoutOptions options) {
  if (!(options.p >= 0 && options.p < 1)) {
    throw ConfigError(fmt::format("dropout: p is {}, expected [0, 1)", options.p));
  }
  const Tensor in = in_own_layout(x.value());
  const DropoutSpec spec{.dtype = in.dtype(),
                         .shape = in.shape(),
                         .p = options.p,
                         .seed = options.seed,
                         .offset = options.step};
  const Tensor counter = options.counter;
  const Device device = x.device();
  Tensor y = like(in);
  dropout_kernels.run(&DropoutKernels::apply, device, spec, data_or_null(counter), in.data(),
                      y.data());
  const Layout layout = x.value().layout();
  return make_var("dropout", y, {x}, [=](const Tensor& dy) -> std::vector<Tensor> {
    Tensor dx = like(dy);
    dropout_kernels.run(&DropoutKernels::apply, device, spec, data_or_null(counter), dy.data(),
                        dx.data());
    return {dx.to(layout)};
  });
}

}  // namespace hac::ops
