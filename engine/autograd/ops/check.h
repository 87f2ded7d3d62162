#pragma once
// Checks that several ops share.

#include <fmt/format.h>

#include "engine/autograd/var.h"
#include "kernels/core/error.h"

namespace hac::ops {

inline void check_rank(const char* op, const std::string& name, const Shape& shape, int rank) {
  if (shape.rank() == rank) return;
  throw ShapeError(fmt::format("{} '{}': expected {} dims, got {}", op, name, rank, shape.str()));
}

// The tensor in the layout that kernels of its device expect.
inline Tensor in_own_layout(const Tensor& t) { return t.to(layout_of(t.device(), t.shape())); }

// Where dx goes that is shaped as dy and computed element by element: into dy itself, which a cache
// holds, if no other path of the tape has it too.
inline Tensor over_gradient(const Tensor& dy) {
  return dy.shared() ? Tensor::empty(dy.shape(), dy.dtype(), dy.device(), dy.layout()) : dy;
}

inline void* data_or_null(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

}  // namespace hac::ops
