#include <fmt/format.h>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "engine/tensor/random.h"
#include "kernels/ops/elementwise.h"

namespace hac::ops {
namespace {

Tensor like(const Tensor& t) { return Tensor::empty(t.shape(), t.dtype(), t.device(), t.layout()); }

}  // namespace

Var cast(const Var& x, Dtype dtype) {
  const Dtype from = x.value().dtype();
  if (from == dtype) return x;
  return make_var("cast", x.value().cast(dtype), {x},
                  [from](const Tensor& dy) -> std::vector<Tensor> { return {dy.cast(from)}; });
}

Var activate(const Var& x, Activation activation) {
  const Tensor in = x.value();
  const ActivationSpec spec{
      .dtype = in.dtype(), .activation = activation, .shape = {in.storage_numel()}};
  const Device device = x.device();
  Tensor y = like(in);
  activation_kernels.run(&ActivationKernels::forward, device, spec, in.data(), y.data());
  // Where y will do it is kept, which the next operation keeps too.
  const Tensor kept = output_tells_gradient(activation) ? y : in;
  return make_var(spec.kind().data(), y, {x}, [=](const Tensor& dy) -> std::vector<Tensor> {
    Tensor dx = over_gradient(dy);
    activation_kernels.run(&ActivationKernels::backward, device, spec, kept.data(), dy.data(),
                           dx.data());
    return {dx};
  });
}

Var relu(const Var& x) { return activate(x, Activation::relu); }

Var add(const Var& a, const Var& b) {
  if (a.shape() != b.shape()) {
    throw ShapeError(fmt::format("add: shapes {} and {}", a.shape().str(), b.shape().str()));
  }
  const Tensor left = a.value(), right = b.value().to(left.layout());
  const AddSpec spec{.dtype = left.dtype(), .shape = {left.storage_numel()}};
  Tensor y = like(left);
  add_kernels.run(&AddKernels::forward, a.device(), spec, left.data(), right.data(), y.data());
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
                         .images = options.images,
                         .seed = options.seed,
                         .offset = streams::dropout(options.step)};
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
