#pragma once
// Dynamic loss scaling for training in f16 (Micikevicius et al., Mixed Precision Training, ICLR
// 2018, section 3.2; PyTorch's GradScaler). Gradients under 2^-24 vanish in f16, so backward starts
// from `scale` instead of 1 and what it leaves is divided by it. A step with a gradient that is not
// finite changes nothing but the scale, which it halves; `interval` good steps in a row double it.
//
// The state is on the device, so that no step waits for the host:
//   scale  (1) f32, a power of two: dividing by it is exact
//   counts (3) i32: this step is bad (0 or 1), good steps in a row, bad steps ever

#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct LossScaleSpec {
  float growth = 2, backoff = 0.5f;  // powers of two
  std::int32_t interval = 2000;      // good steps before the scale grows
  auto operator<=>(const LossScaleSpec&) const = default;
  std::string str() const;
};

// One parameter's gradient: f32. rounded: of `dtype`, what unscale is to make it of; null: of
// itself, as always on the CPU.
struct GradSegment {
  void* grad = nullptr;
  std::int64_t elements = 0;
  const void* rounded = nullptr;
  Dtype dtype = Dtype::f32;
};

struct LossScaleKernels {
  // Divides the gradients by scale; counts[0] = 1 if one of them is not finite.
  void (*unscale)(Context&, const LossScaleSpec&, const void* scale, void* counts,
                  std::span<const GradSegment>);
  // After the update: the next step's scale, and counts[0] = 0.
  void (*update)(Context&, const LossScaleSpec&, void* scale, void* counts);
};

HAC_BACKENDS(LossScaleKernels, loss_scale)

// The rule of `update`, the same on every device.
struct LossScaleRule {
  float scale;
  std::int32_t bad, good, skipped;
};
HAC_HOST_DEVICE inline LossScaleRule next_loss_scale(const LossScaleSpec& spec, LossScaleRule s) {
  if (s.bad) return {s.scale * spec.backoff, 0, 0, s.skipped + 1};
  if (s.good + 1 < spec.interval) return {s.scale, 0, s.good + 1, s.skipped};
  const float grown = s.scale * spec.growth;
  // A scale that overflows would make every later step bad.
  return {grown < 0x1p100f ? grown : s.scale, 0, 0, s.skipped};
}

}  // namespace hac
