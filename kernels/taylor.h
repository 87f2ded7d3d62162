#pragma once
// First-order Taylor importance of every kernel of one weight tensor (HACScale Eq. 5):
//   score[k] += sum_{c,u,v} (dw[k,c,u,v] * w[k,c,u,v])^2
// with dw the gradient of the batch-mean loss. Accumulated in double, one entry an output channel,
// in a fixed order: bitwise repeatable at any thread count.

#include <string>

#include "kernels/context.h"
#include "kernels/cost.h"
#include "kernels/table.h"
#include "kernels/types.h"

namespace hac {

struct TaylorSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t kernels = 1;  // output channels K
  std::int64_t weights = 1;  // weights a kernel, C/groups * R * S
  auto operator<=>(const TaylorSpec&) const = default;
  Cost cost() const;
  std::string str() const;
};

struct TaylorKernels {
  void (*accumulate)(Context&, const TaylorSpec&, const void* w, const void* dw, double* score);
};

extern const TaylorKernels taylor_cpu;
inline constexpr Backends<TaylorKernels> taylor_kernels{taylor_cpu};

}  // namespace hac
