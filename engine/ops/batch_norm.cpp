#include <fmt/format.h>

#include "engine/ops.h"
#include "engine/ops/check.h"
#include "kernels/batchnorm.h"

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

void update_running(const Tensor& running, const Tensor& batch, float momentum, float correction) {
  float* r = running.as<float>();
  const float* b = batch.as<float>();
  for (std::int64_t i = 0; i < running.numel(); ++i) {
    r[i] = (1 - momentum) * r[i] + momentum * correction * b[i];
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
                           .relu = options.relu,
                           .add = residual.defined(),
                           .eps = options.eps};
  const Device device = x.device();
  const BatchNormKernels& kernels = batchnorm_kernels.on(device, spec.str());
  Context& ctx = Context::current(device);
  const Tensor in = in_own_layout(x.value());
  const Tensor res = residual.defined() ? in_own_layout(residual.value()) : Tensor();
  Tensor y = Tensor::activation(s, spec.dtype, device);

  if (!options.training) {
    if (grad_enabled() && (x.requires_grad() || gamma.requires_grad())) {
      throw Error(fmt::format("batch_norm '{}': evaluation records no gradient (hint: NoGrad)",
                              gamma.name()));
    }
    kernels.forward_eval(ctx, spec, in.data(), data_or_null(res), gamma.value().data(),
                         beta.value().data(), running_mean.data(), running_var.data(), y.data());
    return Var(y);
  }

  const Tensor mean = Tensor::empty({spec.c}), var = Tensor::empty({spec.c});
  kernels.forward_train(ctx, spec, in.data(), data_or_null(res), gamma.value().data(),
                        beta.value().data(), y.data(), mean.data(), var.data());
  const float m = static_cast<float>(spec.n * spec.h * spec.w);
  update_running(running_mean, mean, options.momentum, 1);
  update_running(running_var, var, options.momentum, m / (m - 1));

  const Layout layout = x.value().layout();
  const Layout residual_layout = residual.defined() ? residual.value().layout() : layout;
  const Tensor kept_y = spec.add ? y : Tensor();
  return make_var(
      "batch_norm", y, {x, gamma, beta, residual},
      [=, &kernels, g = gamma.value(), b = beta.value()](const Tensor& dy) -> std::vector<Tensor> {
        Tensor dx = Tensor::activation(in.shape(), spec.dtype, device), dres;
        Tensor dgamma = Tensor::empty({spec.c}), dbeta = Tensor::empty({spec.c});
        if (spec.add) dres = Tensor::activation(in.shape(), spec.dtype, device);
        kernels.backward(Context::current(device), spec, in.data(), data_or_null(kept_y), g.data(),
                         b.data(), mean.data(), var.data(), dy.data(), dx.data(), dgamma.data(),
                         dbeta.data(), const_cast<void*>(data_or_null(dres)));
        return {dx.to(layout), dgamma, dbeta, dres.to(residual_layout)};
      });
}

}  // namespace hac::ops
