#include <fmt/format.h>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "kernels/ops/batchnorm.h"

namespace hac::ops {
namespace {

void check(const Var& x, const Var& gamma, const Var& beta, const Tensor& mean, const Tensor& var,
           const Var& residual, bool training) {
  check_rank("batch_norm", gamma.name(), x.shape(), 4);
  const Shape channels{x.shape()[1]};
  for (const Shape& s : {gamma.shape(), beta.shape(), mean.shape(), var.shape()}) {
    if (s == channels) continue;
    throw ShapeError(fmt::format("batch_norm '{}': input {} expects parameters {}, got {}",
                                 gamma.name(), x.shape().str(), channels.str(), s.str()));
  }
  if (residual.defined() && residual.shape() != x.shape()) {
    throw ShapeError(fmt::format("batch_norm '{}': residual {}, expected {}", gamma.name(),
                                 residual.shape().str(), x.shape().str()));
  }
  if (training && x.shape()[0] * x.shape()[2] * x.shape()[3] < 2) {
    throw ShapeError(fmt::format("batch_norm '{}': {} has one value a channel; training needs more",
                                 gamma.name(), x.shape().str()));
  }
}

}  // namespace

Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, const Var& residual, BatchNormOptions options) {
  check(x, gamma, beta, running_mean, running_var, residual, options.training);
  const Shape& s = x.shape();
  const BatchNormSpec spec{.dtype = x.value().dtype(),
                           .n = s[0],
                           .c = s[1],
                           .h = s[2],
                           .w = s[3],
                           .add = residual.defined(),
                           .activation = options.activation,
                           .eps = options.eps};
  const Device device = x.device();
  const Tensor in = in_own_layout(x.value());
  const Tensor res = residual.defined() ? in_own_layout(residual.value()) : Tensor();
  Tensor y = Tensor::activation(s, spec.dtype, device);

  if (!options.training) {
    if (grad_enabled() && (x.requires_grad() || gamma.requires_grad())) {
      throw Error(fmt::format("batch_norm '{}': evaluation records no gradient (hint: NoGrad)",
                              gamma.name()));
    }
    batchnorm_kernels.run(&BatchNormKernels::forward_eval, device, spec, in.data(),
                          data_or_null(res), gamma.value().data(), beta.value().data(),
                          running_mean.data(), running_var.data(), y.data());
    return Var(y);
  }

  const Tensor mean = Tensor::empty({spec.c}, Dtype::f32, device);
  const Tensor var = Tensor::empty({spec.c}, Dtype::f32, device);
  const BatchNormStatistics statistics{.mean = mean.data(),
                                       .var = var.data(),
                                       .running_mean = running_mean.data(),
                                       .running_var = running_var.data(),
                                       .momentum = options.momentum};
  batchnorm_kernels.run(&BatchNormKernels::forward_train, device, spec, in.data(),
                        data_or_null(res), gamma.value().data(), beta.value().data(), y.data(),
                        statistics);

  const Layout layout = x.value().layout();
  const Layout residual_layout = residual.defined() ? residual.value().layout() : layout;
  const Tensor kept_y = spec.add ? y : Tensor();
  return make_var(
      "batch_norm", y, {x, gamma, beta, residual},
      [=, g = gamma.value(), b = beta.value()](const Tensor& dy) -> std::vector<Tensor> {
        Tensor dx = over_gradient(dy), dres;
        Tensor dgamma = Tensor::empty({spec.c}, Dtype::f32, device);
        Tensor dbeta = Tensor::empty({spec.c}, Dtype::f32, device);
        if (spec.add) dres = Tensor::activation(in.shape(), spec.dtype, device);
        batchnorm_kernels.run(&BatchNormKernels::backward, device, spec, in.data(),
                              data_or_null(kept_y), g.data(), b.data(), mean.data(), var.data(),
                              dy.data(), dx.data(), dgamma.data(), dbeta.data(),
                              data_or_null(dres));
        return {dx.to(layout), dgamma, dbeta, dres.to(residual_layout)};
      });
}

}  // namespace hac::ops
