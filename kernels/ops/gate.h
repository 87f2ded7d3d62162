#pragma once
// The gate of squeeze-and-excitation (Hu et al. 2018): each channel of each image, scaled by a
// number in (0, 1).
//
//   y[n,c,i,j] = x[n,c,i,j] * sigmoid(g[n,c])
//   dx = dy * sigmoid(g)
//   dg[n,c] = sigmoid(g) (1 - sigmoid(g)) * sum_{i,j} dy[n,c,i,j] x[n,c,i,j]
//
// Shapes: x, y (n, c, h, w), g (n, c, 1, 1).
// Layout: all in layout_of(device, shape). Sums are added in double.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/spec.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct GateSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, c = 1, h = 1, w = 1;

  auto operator<=>(const GateSpec&) const = default;
  Shape in_shape() const { return {n, c, h, w}; }
  Shape out_shape() const { return in_shape(); }
  Shape gate_shape() const { return {n, c, 1, 1}; }
  std::string_view kind() const { return "gate"; }
  Cost cost() const;
  std::string str() const;  // "gate:f32,n1c64h32w32"
  bool parse(std::string_view text);
  Widths widths() const { return {c, 0}; }
  GateSpec with(Widths widths) const;
};

struct GateKernels {
  // y may be x.
  void (*forward)(Context&, const GateSpec&, const void* x, const void* g, void* y);
  // dx may be dy.
  void (*backward)(Context&, const GateSpec&, const void* x, const void* g, const void* dy,
                   void* dx, void* dg);
};

HAC_BACKENDS(GateKernels, gate)

}  // namespace hac
