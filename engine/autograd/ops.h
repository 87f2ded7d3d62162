#pragma once
// The differentiable operations. Each checks its operands (ShapeError names the weight it was
// called with), runs the kernel of the tensors' device and records its backward. Formulas and
// layouts are in kernels/<op>.h.

#include "engine/autograd/var.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/pool2d.h"

namespace hac {
class DeviceGroup;  // engine/parallel/device_group.h
}

namespace hac::ops {

struct Conv2dOptions {
  std::int64_t stride = 1, pad = 0, groups = 1;
  // Batch norms alone read y and take the mean off again: the bias's gradient is zero in
  // mathematics, and is not computed.
  bool normalized = false;
};
// x (N,C,H,W), weight (K, C/groups, R, S), bias (K) or undefined -> (N,K,OH,OW)
Var conv2d(const Var& x, const Var& weight, const Var& bias, Conv2dOptions options);

struct BatchNormOptions {
  bool training = true;
  Activation activation = Activation::none;
  float momentum = 0.1f, eps = 1e-5f;
  // In training: ranks that each have a part of one batch, which is normalised as a whole. Null or
  // of one rank: x is the batch. It outlives the tape.
  DeviceGroup* group = nullptr;
};
// gamma, beta, running_mean, running_var (C). residual, when defined, is added before the
// activation. In training the running statistics are updated in place.
// Of a group every rank calls, with one image or more, and then backward; parts may differ in size.
// The gradients of gamma and beta are those of the rank's own part: all ranks' add up to the
// batch's. Everything is queued in the order of the context's work, the collectives of the group
// too.
Var batch_norm(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
               const Tensor& running_var, const Var& residual, BatchNormOptions options);
// pool(batch_norm(...), PoolMode::max), of windows of 2x2: the same values, and gradients but for
// the order of sums. Where the device can (batchnorm_pool_kernels), what a tape would keep of the
// map between them is never made.
Var batch_norm_max_pool(const Var& x, const Var& gamma, const Var& beta, const Tensor& running_mean,
                        const Tensor& running_var, BatchNormOptions options);

Var cast(const Var& x, Dtype dtype);  // f32, bf16, f16; the gradient has the type of x
Var activate(const Var& x, Activation activation);
Var relu(const Var& x);
Var add(const Var& a, const Var& b);

struct PoolOptions {
  std::int64_t kernel = 2, stride = 2, pad = 0;
};
Var pool(const Var& x, PoolMode mode, PoolOptions options = {});  // of global_avg: (N,C,1,1)

Var gate(const Var& x, const Var& g);  // x (N,C,H,W), g (N,C,1,1) -> x * sigmoid(g)

Var flatten(const Var& x);  // (N,C,H,W) -> (N, C*H*W), in logical order
// x (N,in), weight (out,in), bias (out) or undefined -> (N,out)
Var linear(const Var& x, const Var& weight, const Var& bias);

struct DropoutOptions {
  float p = 0.5f;
  bool images = false;  // whole images: stochastic depth
  std::uint64_t seed = 0, step = 0;
  Tensor counter = {};  // 8 bytes on the device of x, a u64 that is added to step; undefined = none
};
Var dropout(const Var& x, DropoutOptions options);

struct XentResult {
  Var loss;      // ()
  Tensor probs;  // (N, classes)
};
// target: (N) i32 labels, or (N, classes) f32 soft labels. The mean over N images, or where these
// are a part of a batch the sum over them divided by its images, so that its parts' losses add up.
XentResult softmax_cross_entropy(const Var& logits, const Tensor& target, float smoothing = 0,
                                 std::int64_t batch = 0);

}  // namespace hac::ops
