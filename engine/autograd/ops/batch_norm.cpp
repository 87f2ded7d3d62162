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

BatchNormSpec spec_of(const Var& x, bool add, const BatchNormOptions& options) {
  const Shape& s = x.shape();
  return {.dtype = x.value().dtype(),
          .n = s[0],
          .c = s[1],
          .h = s[2],
          .w = s[3],
          .add = add,
          .activation = options.activation,
          .eps = options.eps};
}

// The batch's statistics, which backward reads.
struct Kept {
  Tensor mean, var;

  Kept(std::int64_t channels, Device device)
      : mean(Tensor::empty({channels}, Dtype::f32, device)),
        var(Tensor::empty({channels}, Dtype::f32, device)) {}
  BatchNormStatistics with(const Tensor& running_mean, const Tensor& running_var,
                           const BatchNormOptions& options) const {
    return {.mean = mean.data(),
            .var = var.data(),
            .running_mean = running_mean.data(),
            .running_var = running_var.data(),
            .momentum = options.momentum};
  }
};

}  // namespace

Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, const Var& residual, BatchNormOptions options) {
  check(x, gamma, beta, running_mean, running_var, residual, options.training);
  const BatchNormSpec spec = spec_of(x, residual.defined(), options);
  const Device device = x.device();
  const Tensor in = in_own_layout(x.value());
  const Tensor res = residual.defined() ? in_own_layout(residual.value()) : Tensor();
  Tensor y = Tensor::activation(spec.shape(), spec.dtype, device);

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

  const Kept kept(spec.c, device);
  batchnorm_kernels.run(&BatchNormKernels::forward_train, device, spec, in.data(),
                        data_or_null(res), gamma.value().data(), beta.value().data(), y.data(),
                        kept.with(running_mean, running_var, options));

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
                              data_or_null(kept_y), g.data(), b.data(), kept.mean.data(),
                              kept.var.data(), dy.data(), dx.data(), dgamma.data(), dbeta.data(),
                              data_or_null(dres));
        return {dx.to(layout), dgamma, dbeta, dres.to(residual_layout)};
      });
}

Var batch_norm_max_pool(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
                        const Tensor& running_var, BatchNormOptions options) {
  check(x, gamma, beta, running_mean, running_var, {}, options.training);
  const BatchNormSpec spec = spec_of(x, false, options);
  const Device device = x.device();
  const bool taped =
      grad_enabled() && (x.requires_grad() || gamma.requires_grad() || beta.requires_grad());
  if (!options.training || !taped || !spec.poolable() ||
      !batchnorm_pool_kernels.of(device).forward_train) {
    return pool(batch_norm(x, gamma, beta, running_mean, running_var, {}, options), PoolMode::max);
  }
  const Tensor in = in_own_layout(x.value());
  Tensor y = Tensor::activation(spec.pooled_shape(), spec.dtype, device);
  const Tensor index = Tensor::empty({y.storage_numel()}, Dtype::u8, device);
  const Kept kept(spec.c, device);
  batchnorm_pool_kernels.run(&BatchNormPoolKernels::forward_train, device, spec, in.data(),
                             gamma.value().data(), beta.value().data(), y.data(), index.data(),
                             kept.with(running_mean, running_var, options));
  const Layout layout = x.value().layout();
  return make_var(
      "batch_norm_max_pool", y, {x, gamma, beta},
      [=, g = gamma.value(), b = beta.value()](const Tensor& dy) -> std::vector<Tensor> {
        Tensor dx = Tensor::activation(spec.shape(), spec.dtype, device);
        Tensor dgamma = Tensor::empty({spec.c}, Dtype::f32, device);
        Tensor dbeta = Tensor::empty({spec.c}, Dtype::f32, device);
        batchnorm_pool_kernels.run(&BatchNormPoolKernels::backward, device, spec, in.data(),
                                   g.data(), b.data(), kept.mean.data(), kept.var.data(), dy.data(),
                                   index.data(), dx.data(), dgamma.data(), dbeta.data());
        return {dx.to(layout), dgamma, dbeta};
      });
}

}  // namespace hac::ops
