#pragma once
// Batch normalisation over (N, H, W) per channel, with optional residual add and activation fused
// behind.
//
//   mean = E[x], var = E[(x - mean)^2] (biased), xhat = (x - mean) / sqrt(var + eps)
//   y = act(gamma * xhat + beta [+ residual])
//   running = (1 - momentum) * running + momentum * batch; the variance unbiased (n / (n - 1)),
//   as PyTorch does.
//   Backward, with dz = (dy [+ dy2]) * act'(z) at z = gamma * xhat + beta [+ residual], m = N H W:
//   dbeta = sum dz, dgamma = sum dz * xhat, dresidual = dz,
//   dx = [addend +] gamma / sqrt(var + eps) * (dz - dbeta / m - xhat * dgamma / m)
//   dy2 is what y's other reader gives for its gradient, addend what x's other readers give for dx.
//   batchnorm_pool, a max pool behind in the same kernels: y is the maxima, and dz = dy * act'(z)
//   where the window's maximum lies, zero elsewhere.
//
// Layout: x, y, residual in layout_of(device, shape). gamma, beta and statistics are (C) f32, on
// the CPU with storage padded by zeros to 64 bytes: a zero gamma keeps padding channels zero.

#include <string>

#include "kernels/core/activation.h"
#include "kernels/core/context.h"
#include "kernels/core/spec.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct BatchNormSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, c = 1, h = 1, w = 1;
  bool add = false;  // a residual input is added before the activation
  Activation activation = Activation::none;
  float eps = 1e-5f;

  auto operator<=>(const BatchNormSpec&) const = default;
  // What kernels take: behind an add, backward knows y alone, which tells no more than a mask.
  bool available() const {
    return has_kernels(activation) && (!add || output_tells_gradient(activation));
  }
  // What batchnorm_pool takes: a map that 2x2 windows tile, nothing added.
  bool poolable() const { return !add && h % 2 == 0 && w % 2 == 0; }
  Shape shape() const { return {n, c, h, w}; }
  Shape pooled_shape() const { return {n, c, h / 2, w / 2}; }
  Shape in_shape() const { return shape(); }
  Shape out_shape() const { return shape(); }
  std::string_view kind() const { return "batchnorm"; }
  Cost cost() const;
  std::string str() const;  // "batchnorm:f32,n1c2h3w4,relu,eps1e-05"
  bool parse(std::string_view text);
  Widths widths() const { return {c, 0}; }
  BatchNormSpec with(Widths widths) const;
};

// What a training step writes a channel, f32: the batch's mean and biased variance, kept for
// backward, and the running statistics moved towards them.
struct BatchNormStatistics {
  void *mean = nullptr, *var = nullptr, *running_mean = nullptr, *running_var = nullptr;
  float momentum = 0.1f;
};

struct BatchNormKernels {
  // mean and biased variance alone, and what they are of: m, one f32. For batchnorm_sync.h, so m
  // may be 1.
  void (*statistics)(Context&, const BatchNormSpec&, const void* x, void* mean, void* var, void* m);
  void (*forward_train)(Context&, const BatchNormSpec&, const void* x, const void* residual,
                        const void* gamma, const void* beta, void* y, BatchNormStatistics);
  // y may be residual.
  void (*forward_eval)(Context&, const BatchNormSpec&, const void* x, const void* residual,
                       const void* gamma, const void* beta, const void* mean, const void* var,
                       void* y);
  // y is read only with add (the mask of the fused add and ReLU); dresidual is null without add. dx
  // may be dy.
  void (*backward)(Context&, const BatchNormSpec&, const void* x, const void* y, const void* gamma,
                   const void* beta, const void* mean, const void* var, const void* dy, void* dx,
                   void* dgamma, void* dbeta, void* dresidual);
  // The same with dy2 and addend, shaped as y and x; either may be null. Both sums are in f32;
  // where dy2 is added dz is rounded before dx is made of it. dx may be dy or dy2, not addend. Null
  // where a device has none.
  void (*backward_adding)(Context&, const BatchNormSpec&, const void* x, const void* y,
                          const void* gamma, const void* beta, const void* mean, const void* var,
                          const void* dy, void* dx, void* dgamma, void* dbeta, void* dresidual,
                          const void* dy2, const void* addend);
};

// forward_train and backward with a max pool of 2x2 windows and stride 2 behind (pool2d.h), of a
// spec that is poolable(), without the map between them. Null where a device has none.
struct BatchNormPoolKernels {
  // y: pooled_shape(). index: a byte for each of its storage's elements: which place of its window,
  // in row order, held the first maximum. A NaN is one, on the CPU where it is at the first place.
  void (*forward_train)(Context&, const BatchNormSpec&, const void* x, const void* gamma,
                        const void* beta, void* y, void* index, BatchNormStatistics);
  // dy: pooled_shape().
  void (*backward)(Context&, const BatchNormSpec&, const void* x, const void* gamma,
                   const void* beta, const void* mean, const void* var, const void* dy,
                   const void* index, void* dx, void* dgamma, void* dbeta);
};

HAC_BACKENDS(BatchNormKernels, batchnorm)
HAC_BACKENDS(BatchNormPoolKernels, batchnorm_pool)

}  // namespace hac
