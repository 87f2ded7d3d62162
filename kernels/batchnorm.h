#pragma once
// Batch normalisation over (N, H, W) per channel, with optional residual add and ReLU fused behind.
//
//   mean = E[x], var = E[(x - mean)^2] (biased), xhat = (x - mean) / sqrt(var + eps)
//   y = act(gamma * xhat + beta [+ residual]),  act = ReLU or identity
//   running = (1 - momentum) * running + momentum * batch; the variance unbiased (n / (n - 1)),
//   as PyTorch does.
//   Backward, with dz = dy * 1[y > 0] (or dy without ReLU) and m = N H W:
//   dbeta = sum dz, dgamma = sum dz * xhat, dresidual = dz,
//   dx = gamma / sqrt(var + eps) * (dz - dbeta / m - xhat * dgamma / m)
//   A NaN in x stays a NaN through the ReLU.
//
// Layout: x, y, residual in layout_of(device, shape). gamma, beta and statistics are (C) f32, on
// the CPU with storage padded by zeros to 64 bytes: a zero gamma keeps padding channels zero.

#include <string>

#include "kernels/context.h"
#include "kernels/cost.h"
#include "kernels/table.h"
#include "kernels/types.h"

namespace hac {

struct BatchNormSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, c = 1, h = 1, w = 1;
  bool relu = false;
  bool add = false;  // a residual input is added before the ReLU
  float eps = 1e-5f;

  auto operator<=>(const BatchNormSpec&) const = default;
  Shape shape() const { return {n, c, h, w}; }
  Cost cost() const;
  std::string str() const;
};

// What a training step writes a channel, f32: the batch's mean and biased variance, kept for
// backward, and the running statistics moved towards them.
struct BatchNormStatistics {
  void *mean, *var, *running_mean, *running_var;
  float momentum = 0.1f;
};

struct BatchNormKernels {
  void (*forward_train)(Context&, const BatchNormSpec&, const void* x, const void* residual,
                        const void* gamma, const void* beta, void* y, BatchNormStatistics);
  void (*forward_eval)(Context&, const BatchNormSpec&, const void* x, const void* residual,
                       const void* gamma, const void* beta, const void* mean, const void* var,
                       void* y);
  // y is read only with add (the mask of the fused add + ReLU); dresidual is null without add.
  void (*backward)(Context&, const BatchNormSpec&, const void* x, const void* y, const void* gamma,
                   const void* beta, const void* mean, const void* var, const void* dy, void* dx,
                   void* dgamma, void* dbeta, void* dresidual);
};

extern const BatchNormKernels batchnorm_cpu, batchnorm_cuda, batchnorm_simt;
inline constexpr Backends<BatchNormKernels> batchnorm_kernels{batchnorm_cpu, batchnorm_cuda,
                                                              batchnorm_simt};

}  // namespace hac
