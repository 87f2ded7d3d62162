#pragma once
// Layer-wise adaptive rate scaling (You, Gitman and Ginsburg, Large Batch Training of Convolutional
// Networks, 2017), in the form of timm's Lars, whose rate multiplies the velocity as in SGD; one
// fused pass over all parameters:
//   trust = trust_coefficient * |w| / (|grad| + weight_decay * |w| + eps), 1 where |w| or |grad| is
//           0, and for tensors of one dimension
//   g = trust * (grad + weight_decay * w)
//   v = momentum * v + g        (v starts at zero)
//   w -= lr * (nesterov ? g + momentum * v : v)

#include <cmath>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct LarsSpec {
  float momentum = 0.9f, weight_decay = 0, trust_coefficient = 1e-3f, eps = 1e-8f;
  bool nesterov = false;
  Dtype copy = Dtype::f32;  // of the copies beside the weights, as SgdSpec has it
  auto operator<=>(const LarsSpec&) const = default;
  std::string str() const;
};

// One parameter: f32, `elements` each; copy and decays as SgdSegment has them.
struct LarsSegment {
  const void* grad = nullptr;
  void* weight = nullptr;
  void* velocity = nullptr;
  void* copy = nullptr;
  const void* squares =
      nullptr;  // two doubles: |w|^2, |grad|^2 (kernels/ops/norms.h); null: trust 1
  std::int64_t elements = 0;
  bool decays = true;
};

struct LarsKernels {
  // lr and skip as SgdKernels has them.
  void (*step)(Context&, const LarsSpec&, const void* lr, const void* skip,
               std::span<const LarsSegment>);
};

HAC_BACKENDS(LarsKernels, lars)

HAC_HOST_DEVICE inline float lars_trust(const LarsSpec& spec, float decay, double weight_square,
                                        double grad_square) {
  const double w = sqrt(weight_square), g = sqrt(grad_square);
  if (w == 0 || g == 0) return 1;
  return static_cast<float>(spec.trust_coefficient * w / (g + decay * w + spec.eps));
}

// One element, the same on every device.
struct LarsUpdate {
  float lr, momentum, decay, trust;
  bool nesterov;
  HAC_HOST_DEVICE void operator()(float dw, float& w, float& v) const {
    const float g = trust * (dw + decay * w);
    v = momentum * v + g;
    w -= lr * (nesterov ? g + momentum * v : v);
  }
};

}  // namespace hac
