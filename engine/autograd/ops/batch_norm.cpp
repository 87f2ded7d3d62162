#include <fmt/format.h>

#include <optional>

#include "engine/autograd/ops.h"
#include "engine/autograd/ops/check.h"
#include "engine/parallel/device_group.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/batchnorm_sync.h"

namespace hac::ops {
namespace {

bool synchronised(const BatchNormOptions& options) {
  return options.training && options.group && options.group->size() > 1;
}

void check(const Var& x, const Var& gamma, const Var& beta, const Tensor& mean, const Tensor& var,
           const Var& residual, const BatchNormOptions& options) {
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
  if (options.training && !synchronised(options) &&
      x.shape()[0] * x.shape()[2] * x.shape()[3] < 2) {
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

void evaluate(const BatchNormSpec& spec, const Tensor& x, const Tensor& residual,
              const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& var,
              const Tensor& y) {
  batchnorm_kernels.run(&BatchNormKernels::forward_eval, x.device(), spec, x.data(),
                        data_or_null(residual), gamma.data(), beta.data(), mean.data(), var.data(),
                        y.data());
}

// What a batch norm does together with the other ranks of its group.
struct Synchronised {
  BatchNormSpec norm;
  BatchNormSyncSpec sync;
  DeviceGroup* group;
  Device device;
  Tensor m = Tensor::empty({1}, Dtype::f32, device);  // values a channel of all ranks

  Synchronised(const BatchNormSpec& spec, DeviceGroup* ranks, Device where)
      : norm(spec),
        sync{.c = spec.c,
             .m = spec.n * spec.h * spec.w,
             .ranks = ranks->size(),
             .rank = ranks->rank(),
             .eps = spec.eps},
        group(ranks),
        device(where) {}

  Tensor collected(const Tensor& own) const {
    const Tensor rows = Tensor::empty({sync.ranks, own.numel()}, Dtype::f32, device);
    group->collect(Context::current(device), own, rows);
    return rows;
  }

  void statistics(const Tensor& x, const BatchNormStatistics& out) const {
    const Tensor own = Tensor::empty({sync.statistics()}, Dtype::f32, device);
    float* const mean = own.as<float>();
    float* const var = mean + sync.stride();
    batchnorm_kernels.run(&BatchNormKernels::statistics, device, norm, x.data(), mean, var,
                          var + sync.stride());
    batchnorm_sync_kernels.run(&BatchNormSyncKernels::combine, device, sync, collected(own).data(),
                               out, m.data());
  }

  // own: the sums that backward took for dx. A dx of 16 bits is rounded once more here.
  void correct(const Tensor& own, const Tensor& x, const Tensor& gamma, const Kept& kept,
               const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) const {
    const Tensor factor = Tensor::empty({sync.c}, Dtype::f32, device);
    const Tensor offset = Tensor::empty({sync.c}, Dtype::f32, device);
    batchnorm_sync_kernels.run(&BatchNormSyncKernels::correct, device, sync, collected(own).data(),
                               gamma.data(), kept.var.data(), m.data(), dgamma.data(), dbeta.data(),
                               factor.data(), offset.data());
    BatchNormSpec over_dx = norm;
    over_dx.add = true;
    over_dx.activation = Activation::none;
    evaluate(over_dx, x, dx, factor, offset, kept.mean, kept.var, dx);
  }
};

// What a batch norm keeps for backward.
struct Taped {
  BatchNormSpec spec;
  Tensor x, y, gamma, beta;  // y: with add alone
  Kept statistics;
  std::optional<Synchronised> all;
  Layout layout, residual_layout;  // of the inputs, whose gradients have them too

  bool adds() const { return !all && batchnorm_kernels.of(x.device()).backward_adding; }

  // dy2 and addend are undefined unless it adds().
  std::vector<Tensor> backward(const Tensor& dy, const Tensor& dy2, const Tensor& addend) const {
    const Device device = x.device();
    if (addend.defined() && (addend.shape() != x.shape() || addend.dtype() != x.dtype())) {
      throw ShapeError(fmt::format("batch_norm: its input is {} {}, a gradient of it {} {}",
                                   name_of(x.dtype()), x.shape().str(), name_of(addend.dtype()),
                                   addend.shape().str()));
    }
    const bool over_second = dy.shared() && dy2.defined();
    Tensor dx = over_gradient(over_second ? dy2 : dy), dresidual, sums;
    const Tensor dgamma = Tensor::empty({spec.c}, Dtype::f32, device);
    const Tensor dbeta = Tensor::empty({spec.c}, Dtype::f32, device);
    if (spec.add) dresidual = Tensor::activation(x.shape(), spec.dtype, device);
    if (all) sums = Tensor::empty({all->sync.gradients()}, Dtype::f32, device);
    const auto run = [&](auto entry, auto... more) {
      batchnorm_kernels.run(entry, device, spec, x.data(), data_or_null(y), gamma.data(),
                            beta.data(), statistics.mean.data(), statistics.var.data(), dy.data(),
                            dx.data(), all ? sums.data() : dgamma.data(),
                            all ? sums.as<float>() + all->sync.stride() : dbeta.data(),
                            data_or_null(dresidual), more...);
    };
    if (adds()) {
      const Tensor in_own = addend.to(x.layout());
      run(&BatchNormKernels::backward_adding, data_or_null(dy2), data_or_null(in_own));
    } else {
      run(&BatchNormKernels::backward);
    }
    if (all) all->correct(sums, x, gamma, statistics, dx, dgamma, dbeta);
    return {dx.to(layout), dgamma, dbeta, dresidual.to(residual_layout)};
  }
};

}  // namespace

Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, const Var& residual, BatchNormOptions options) {
  check(x, gamma, beta, running_mean, running_var, residual, options);
  const BatchNormSpec spec = spec_of(x, residual.defined(), options);
  const Device device = x.device();
  const Tensor in = in_own_layout(x.value());
  const Tensor res = residual.defined() ? in_own_layout(residual.value()) : Tensor();
  const Tensor g = gamma.value(), b = beta.value();
  const Tensor y = Tensor::activation(spec.shape(), spec.dtype, device);

  if (!options.training) {
    if (grad_enabled() && (x.requires_grad() || gamma.requires_grad())) {
      throw Error(fmt::format("batch_norm '{}': evaluation records no gradient (hint: NoGrad)",
                              gamma.name()));
    }
    evaluate(spec, in, res, g, b, running_mean, running_var, y);
    return Var(y);
  }

  const Kept kept(spec.c, device);
  std::optional<Synchronised> all;
  if (synchronised(options)) {
    all.emplace(spec, options.group, device);
    all->statistics(in, kept.with(running_mean, running_var, options));
    evaluate(spec, in, res, g, b, kept.mean, kept.var, y);
  } else {
    batchnorm_kernels.run(&BatchNormKernels::forward_train, device, spec, in.data(),
                          data_or_null(res), g.data(), b.data(), y.data(),
                          kept.with(running_mean, running_var, options));
  }

  const Layout layout = x.value().layout();
  const Taped taped{spec, in,     spec.add ? y : Tensor(),
                    g,    b,      kept,
                    all,  layout, residual.defined() ? residual.value().layout() : layout};
  Backward backward = [taped](const Tensor& dy) { return taped.backward(dy, {}, {}); };
  if (taped.adds()) {
    backward = [taped](const Tensor& dy, const Tensor& dy2, const Tensor& addend) {
      return taped.backward(dy, dy2, addend);
    };
  }
  return make_var("batch_norm", y, {x, gamma, beta, residual}, std::move(backward));
}

Var batch_norm_max_pool(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
                        const Tensor& running_var, BatchNormOptions options) {
  check(x, gamma, beta, running_mean, running_var, {}, options);
  const BatchNormSpec spec = spec_of(x, false, options);
  const Device device = x.device();
  const bool taped =
      grad_enabled() && (x.requires_grad() || gamma.requires_grad() || beta.requires_grad());
  if (!options.training || synchronised(options) || !taped || !spec.poolable() ||
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
