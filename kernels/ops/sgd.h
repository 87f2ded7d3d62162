#pragma once
// SGD with momentum as PyTorch defines it, one fused pass over all parameters:
//   g = grad + weight_decay * w
//   v = momentum * v + g        (v starts at zero)
//   w -= lr * (nesterov ? g + momentum * v : v)

#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct SgdSpec {
  float momentum = 0.9f, weight_decay = 0;
  bool nesterov = false;
  Dtype copy = Dtype::f32;  // of the copies beside the weights, bf16 or f16; f32: there are none
  auto operator<=>(const SgdSpec&) const = default;
  std::string str() const;
};

// One parameter: f32, `elements` each. copy: the new weight, rounded, for layers that compute in 16
// bits; null: none. decays: by spec.weight_decay, else not at all.
struct SgdSegment {
  const void* grad = nullptr;
  void* weight = nullptr;
  void* velocity = nullptr;
  void* copy = nullptr;
  std::int64_t elements = 0;
  bool decays = true;
};

struct SgdKernels {
  // lr: one f32 on the device, so that a captured step can be replayed at another rate. skip: one
  // i32 on the device; if it is not 0, nothing is changed (kernels/ops/loss_scale.h). Null: never.
  void (*step)(Context&, const SgdSpec&, const void* lr, const void* skip,
               std::span<const SgdSegment>);
};

HAC_BACKENDS(SgdKernels, sgd)

}  // namespace hac
