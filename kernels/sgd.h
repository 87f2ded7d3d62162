#pragma once
// SGD with momentum as PyTorch defines it, one fused pass over a parameter:
//   g = grad + weight_decay * w
//   v = momentum * v + g        (v starts at zero)
//   w -= lr * (nesterov ? g + momentum * v : v)

#include <string>

#include "kernels/context.h"
#include "kernels/cost.h"
#include "kernels/table.h"
#include "kernels/types.h"

namespace hac {

struct SgdSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t elements = 0;
  float lr = 0.1f, momentum = 0.9f, weight_decay = 0;
  bool nesterov = false;
  auto operator<=>(const SgdSpec&) const = default;
  Cost cost() const;
  std::string str() const;
};

struct SgdKernels {
  void (*step)(Context&, const SgdSpec&, const void* grad, void* weight, void* velocity);
};

extern const SgdKernels sgd_cpu;
inline constexpr Backends<SgdKernels> sgd_kernels{sgd_cpu};

}  // namespace hac
