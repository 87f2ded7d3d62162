#pragma once
// SGD with momentum as PyTorch defines it, one fused pass over all parameters:
//   g = grad + weight_decay * w
//   v = momentum * v + g        (v starts at zero)
//   w -= lr * (nesterov ? g + momentum * v : v)

#include <span>
#include <string>

#include "kernels/context.h"
#include "kernels/table.h"
#include "kernels/types.h"

namespace hac {

struct SgdSpec {
  float momentum = 0.9f, weight_decay = 0;
  bool nesterov = false;
  auto operator<=>(const SgdSpec&) const = default;
  std::string str() const;
};

// One parameter: f32, `elements` each.
struct SgdSegment {
  const void* grad = nullptr;
  void* weight = nullptr;
  void* velocity = nullptr;
  std::int64_t elements = 0;
};

struct SgdKernels {
  // lr: one f32 on the device, so that a captured step can be replayed at another rate.
  void (*step)(Context&, const SgdSpec&, const void* lr, std::span<const SgdSegment>);
};

extern const SgdKernels sgd_cpu, sgd_cuda, sgd_simt;
inline constexpr Backends<SgdKernels> sgd_kernels{sgd_cpu, sgd_cuda, sgd_simt};

}  // namespace hac
