#pragma once
// Euclidean norms of many tensors at once, and gradients clipped by their common one
// (torch.nn.utils.clip_grad_norm_, norm_type 2; Pascanu et al., On the difficulty of training
// recurrent neural networks, ICML 2013):
//   squares[i] = sum of x^2 over tensor i
//   clip: g *= min(1, max_norm / (sqrt(sum_i squares[i]) + 1e-6)) for every gradient
// Squares are summed in double, over blocks of norm_block elements and then over the blocks, each
// in order: bitwise repeatable at any thread count. Padded channels hold zero and add nothing.

#include <cmath>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"
#include "kernels/ops/loss_scale.h"

namespace hac {

struct NormSpec {
  std::int64_t tensors = 1;
  float max_norm = 0;  // of clip
  auto operator<=>(const NormSpec&) const = default;
  std::string str() const {
    return "norm:tensors" + std::to_string(tensors) +
           (max_norm > 0 ? ",max" + std::to_string(max_norm) : "");
  }
};

inline constexpr std::int64_t norm_block = 4096;

// One tensor: f32.
struct NormSegment {
  const void* values = nullptr;
  std::int64_t elements = 0;
};

struct NormKernels {
  // squares: a double on the device for each segment, in their order.
  void (*squares)(Context&, const NormSpec&, void* squares, std::span<const NormSegment>);
  // squares: those of all spec.tensors gradients. A norm that is not finite leaves gradients that
  // are not.
  void (*clip)(Context&, const NormSpec&, const void* squares, std::span<const GradSegment>);
};

HAC_BACKENDS(NormKernels, norm)

// What clip multiplies by, from the sum of all squares.
HAC_HOST_DEVICE inline float clip_factor(double squares, float max_norm) {
  const double factor = max_norm / (sqrt(squares) + 1e-6);
  return factor >= 1 ? 1.f : static_cast<float>(factor);  // a NaN stays one
}

}  // namespace hac
