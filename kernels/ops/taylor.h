#pragma once
// First-order Taylor importance of every kernel of many weight tensors (HACScale Eq. 5):
//   score[k] += sum_{c,u,v} (dw[k,c,u,v] * w[k,c,u,v])^2
// with dw the gradient of the batch-mean loss. Accumulated in double, one entry an output channel,
// in a fixed order: bitwise repeatable at any thread count.

#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

// One layer's weights, f32, and gradients, of dw_dtype (on the CPU f32); score: one double a
// kernel.
struct TaylorSegment {
  const void* w = nullptr;
  const void* dw = nullptr;
  void* score = nullptr;
  std::int64_t kernels = 1;  // output channels K
  std::int64_t weights = 1;  // weights a kernel, C/groups * R * S
  Dtype dw_dtype = Dtype::f32;
};

struct TaylorSpec {
  std::int64_t layers = 1;
  auto operator<=>(const TaylorSpec&) const = default;
  std::string str() const { return "taylor:layers" + std::to_string(layers); }
};

struct TaylorKernels {
  // skip: one i32 on the device; if it is not 0, nothing is added (kernels/ops/loss_scale.h). Null:
  // never.
  void (*accumulate)(Context&, const TaylorSpec&, const void* skip, std::span<const TaylorSegment>);
};

HAC_BACKENDS(TaylorKernels, taylor)

}  // namespace hac
