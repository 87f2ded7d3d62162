#pragma once
// AdamW (Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019) as PyTorch
// defines it, one fused pass over all parameters, t = 1, 2, ...:
//   m = beta1 * m + (1 - beta1) * grad          (m and v start at zero)
//   v = beta2 * v + (1 - beta2) * grad^2
//   w -= lr * weight_decay * w
//   w -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps)

#include <cmath>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct AdamWSpec {
  double beta1 = 0.9, beta2 = 0.999;
  float eps = 1e-8f, weight_decay = 0;
  Dtype copy = Dtype::f32;  // of the copies beside the weights, as SgdSpec has it
  auto operator<=>(const AdamWSpec&) const = default;
  std::string str() const;
};

// One parameter: f32, `elements` each; grads, copies and decays as SgdSegment has them.
struct AdamWSegment {
  const void* grad = nullptr;
  void* weight = nullptr;
  void* first = nullptr;   // m
  void* second = nullptr;  // v
  void* copy = nullptr;
  std::int64_t elements = 0;
  bool decays = true;
  Dtype grad_dtype = Dtype::f32;
};

struct AdamWKernels {
  // lr: one f32 on the device; count: one i32 there, t - 1 before the step and t after it; skip:
  // one i32 there or null; if it is not 0, nothing is changed.
  void (*step)(Context&, const AdamWSpec&, const void* lr, void* count, const void* skip,
               std::span<const AdamWSegment>);
};

HAC_BACKENDS(AdamWKernels, adamw)

// What step t makes of the rate and the second moment: w -= rate * m / (sqrt(v) * scale + eps).
struct AdamWFactors {
  float rate, scale;
};
HAC_HOST_DEVICE inline AdamWFactors adamw_factors(const AdamWSpec& spec, float lr, std::int32_t t) {
  const double first = 1 - pow(spec.beta1, static_cast<double>(t)),
               second = 1 - pow(spec.beta2, static_cast<double>(t));
  return {static_cast<float>(lr / first), static_cast<float>(1 / sqrt(second))};
}

// One element, the same on every device.
struct AdamWUpdate {
  AdamWFactors factors;
  float beta1, rest1, beta2, rest2, eps, kept;  // rest = 1 - beta; kept = 1 - lr * weight_decay
  HAC_HOST_DEVICE void operator()(float grad, float& w, float& m, float& v) const {
    m = beta1 * m + rest1 * grad;
    v = beta2 * v + rest2 * grad * grad;
    w = kept * w - factors.rate * m / (sqrtf(v) * factors.scale + eps);
  }
};
HAC_HOST_DEVICE inline AdamWUpdate adamw_update(const AdamWSpec& spec, AdamWFactors factors,
                                                float lr, bool decays) {
  return {factors,
          static_cast<float>(spec.beta1),
          static_cast<float>(1 - spec.beta1),
          static_cast<float>(spec.beta2),
          static_cast<float>(1 - spec.beta2),
          spec.eps,
          decays ? 1 - lr * spec.weight_decay : 1.f};
}

}  // namespace hac
