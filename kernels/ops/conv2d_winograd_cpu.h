#pragma once
// 3x3 convolution with stride 1 by Winograd's minimal filtering F(m x m, 3 x 3), m = 4 or 2 (Lavin
// and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015; winograd.md
// derives it). With a = m + 2, each tile d (a x a) of the input and its tile y (m x m) of the
// output:
//   y = A^T [ sum_c (G w G^T) . (B^T d B) ] A
// where . multiplies element by element: a^2 products a channel for m^2 outputs of nine, so 4 (m =
// 4) or 2.25 (m = 2) times fewer multiplications. Of the a^2 positions each is one matrix product,
//   M[t] (tiles, K) = V[t] (tiles, C) U[t] (C, K).
// Backward data is the same with the weights turned and transposed; the gradient of the weights is
// the adjoint: dU[t] = V[t]^T Z[t], Z = A dy A^T, dw = G^T dU G.

#include "kernels/ops/conv2d.h"

namespace hac::cpu {

// What a spec of pass forward, inference, backward_data or backward_weights takes.
struct Winograd {
  std::int64_t outputs = 4;  // m
  std::int64_t tiles = 0;    // of all images
  std::int64_t part = 0;     // those that go through the phases together
  bool alone = false;        // each thread takes parts of its own, else all share each part
  std::size_t weights = 0;   // floats of U (backward_weights: of dU)
  std::size_t work = 0;      // floats of V and M (backward_weights: of V and Z)
};

// 3x3, stride 1, padding up to 2, no groups, f32, both operands in blocks of vector_lanes().
bool has_winograd(const Conv2dSpec& spec);
Winograd winograd(const Conv2dSpec& spec, std::int64_t outputs);

template <class Weight>
struct WinogradKernels {
  // w (K, C, 3, 3) to U.
  void (*pack)(const Conv2dSpec&, const Winograd&, const float* w, Weight* u);
  // forward and inference: x to y; backward_data: dy to dx. bias may be null; y holds what is added
  // to where the spec adds.
  void (*convolve)(const Conv2dSpec&, const Winograd&, const float* x, const Weight* u,
                   const float* bias, float* y, float* work);
  // dw (K, C, 3, 3); db may be null. In f32 alone.
  void (*weights)(const Conv2dSpec&, const Winograd&, const float* x, const float* dy, float* dw,
                  float* db, float* du, float* work) = nullptr;
};
extern const WinogradKernels<float> winograd_loops_f32;
extern const WinogradKernels<bf16> winograd_loops_bf16;

}  // namespace hac::cpu
