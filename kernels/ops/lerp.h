#pragma once
// Linear interpolation of many tensors at once, y += weight * (x - y) (torch.lerp): one step of an
// average. At a weight of 1 y takes the bits of x.

#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct LerpSpec {
  float weight = 1;  // from 0 to 1
  auto operator<=>(const LerpSpec&) const = default;
  std::string str() const { return "lerp:weight" + std::to_string(weight); }
};

// f32, `elements` each.
struct LerpSegment {
  const void* x = nullptr;
  void* y = nullptr;
  std::int64_t elements = 0;
};

struct LerpKernels {
  void (*apply)(Context&, const LerpSpec&, std::span<const LerpSegment>);
};

HAC_BACKENDS(LerpKernels, lerp)

HAC_HOST_DEVICE inline float lerp(float y, float x, float weight) {
  const float difference = x - y;
  return weight < 0.5f ? y + weight * difference : x - difference * (1 - weight);
}

}  // namespace hac
