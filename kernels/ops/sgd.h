#pragma once
// SGD with momentum as PyTorch defines it, one fused pass over all parameters:
//   g = grad + weight_decay * w
//   v = momentum * v + g        (v starts at zero)
//   w -= lr * (nesterov ? g + momentum * v : v)
// Layer-wise adaptive rate scaling (LARS: You, Gitman and Ginsburg, Large Batch Training of
// Convolutional Networks, 2017), in the form of timm's Lars, is the same on trust * g:
//   trust = trust_coefficient * |w| / (|grad| + weight_decay * |w| + eps), 1 where |w| or |grad| is
//           0

#include <cmath>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct SgdSpec {
  float momentum = 0.9f, weight_decay = 0;
  bool nesterov = false;
  Dtype copy = Dtype::f32;  // of the copies beside the weights, bf16 or f16; f32: there are none
  float trust_coefficient = 0, eps = 0;  // of LARS
  auto operator<=>(const SgdSpec&) const = default;
  std::string str() const;
};

// One parameter: f32, `elements` each; grad of grad_dtype (on the CPU f32). copy: the new weight,
// rounded, for layers that compute in 16 bits; null: none. decays: by spec.weight_decay, else not
// at all. squares: two doubles, |w|^2 and |grad|^2 (kernels/ops/norms.h), of a parameter that LARS
// adapts; null: of the others.
struct SgdSegment {
  const void* grad = nullptr;
  void* weight = nullptr;
  void* velocity = nullptr;
  void* copy = nullptr;
  std::int64_t elements = 0;
  bool decays = true;
  Dtype grad_dtype = Dtype::f32;
  const void* squares = nullptr;
};

struct SgdKernels {
  // lr: one f32 on the device, so that a captured step can be replayed at another rate. skip: one
  // i32 on the device; if it is not 0, nothing is changed (kernels/ops/loss_scale.h). Null: never.
  void (*step)(Context&, const SgdSpec&, const void* lr, const void* skip,
               std::span<const SgdSegment>);
};

HAC_BACKENDS(SgdKernels, sgd)

HAC_HOST_DEVICE inline float sgd_trust(const SgdSpec& spec, float decay, double weight_square,
                                       double grad_square) {
  const double w = sqrt(weight_square), g = sqrt(grad_square);
  if (w == 0 || g == 0) return 1;
  return static_cast<float>(spec.trust_coefficient * w / (g + decay * w + spec.eps));
}

// One element, the same on every device.
template <bool adapts>
struct SgdUpdate {
  float lr, momentum, decay, trust;
  bool nesterov;
  HAC_HOST_DEVICE void operator()(float dw, float& w, float& v) const {
    float g = dw + decay * w;
    if (adapts) g *= trust;
    v = momentum * v + g;
    w -= lr * (nesterov ? g + momentum * v : v);
  }
};

}  // namespace hac
