#pragma once
// Fully connected layer: y = x w^T + bias.
//   dx = dy w, dw = dy^T x, db = column sums of dy.
// Shapes: x (n, in), w (out, in), bias (out), y (n, out). All plain.
// Types: of the spec's dtype, but dw and db f32.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/spec.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct LinearSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, in = 1, out = 1;
  bool bias = true;

  auto operator<=>(const LinearSpec&) const = default;
  Shape in_shape() const { return {n, in}; }
  Shape weight_shape() const { return {out, in}; }
  Shape out_shape() const { return {n, out}; }
  std::string_view kind() const { return "linear"; }
  Cost cost() const;
  std::string str() const;  // "linear:f32,n1i512o10,bias"
  bool parse(std::string_view text);
  Widths widths() const { return {in, out}; }
  LinearSpec with(Widths widths) const;
};

struct LinearKernels {
  void (*forward)(Context&, const LinearSpec&, const void* x, const void* w, const void* bias,
                  void* y);
  void (*backward_data)(Context&, const LinearSpec&, const void* dy, const void* w, void* dx);
  void (*backward_weights)(Context&, const LinearSpec&, const void* x, const void* dy, void* dw,
                           void* db);
};

HAC_BACKENDS(LinearKernels, linear)

}  // namespace hac
