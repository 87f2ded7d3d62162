#pragma once
// Operations on equal-sized dense buffers; layout does not matter to them.
//   relu           y = max(x, 0);  dx = dy * 1[y > 0]
//   add            y = a + b  (y may alias a or b)

#include <string>

#include "kernels/context.h"
#include "kernels/cost.h"
#include "kernels/table.h"
#include "kernels/types.h"

namespace hac {

struct ElementwiseSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t elements = 0;  // storage elements, padding included
  auto operator<=>(const ElementwiseSpec&) const = default;
  Cost cost() const;
  std::string str() const;
};

struct ElementwiseKernels {
  void (*relu)(Context&, const ElementwiseSpec&, const void* x, void* y);
  void (*relu_backward)(Context&, const ElementwiseSpec&, const void* y, const void* dy, void* dx);
  void (*add)(Context&, const ElementwiseSpec&, const void* a, const void* b, void* y);
  void (*add_relu)(Context&, const ElementwiseSpec&, const void* a, const void* b, void* y);
};

extern const ElementwiseKernels elementwise_cpu, elementwise_cuda, elementwise_simt;
inline constexpr Backends<ElementwiseKernels> elementwise_kernels{elementwise_cpu, elementwise_cuda,
                                                                  elementwise_simt};

// Inverted dropout: y = x * keep / (1 - p), keep ~ Bernoulli(1 - p) drawn by Philox at the
// *logical* NCHW index, so the mask does not depend on the layout. Backward is the same call on dy.
struct DropoutSpec {
  Dtype dtype = Dtype::f32;
  Shape shape;
  float p = 0.5f;
  std::uint64_t seed = 0;    // stream of this layer
  std::uint64_t offset = 0;  // step, or what is added to a step that the device counts
  auto operator<=>(const DropoutSpec&) const = default;
  std::string str() const;
};

struct DropoutKernels {
  // step: one u64 on the device that is added to offset, so that a captured step can be replayed
  // with another mask; null: none.
  void (*apply)(Context&, const DropoutSpec&, const void* step, const void* x, void* y);
};

extern const DropoutKernels dropout_cpu, dropout_cuda, dropout_simt;
inline constexpr Backends<DropoutKernels> dropout_kernels{dropout_cpu, dropout_cuda, dropout_simt};

// The same numbers in another float type (f32, bf16, f16; one of the two is f32), rounded to
// nearest even; layout does not matter.
struct CastSpec {
  Dtype from = Dtype::f32, to = Dtype::f32;
  std::int64_t elements = 0;
  auto operator<=>(const CastSpec&) const = default;
  std::string str() const;
};

struct CastKernels {
  void (*apply)(Context&, const CastSpec&, const void* x, void* y);
};

extern const CastKernels cast_cpu, cast_cuda, cast_simt;
inline constexpr Backends<CastKernels> cast_kernels{cast_cpu, cast_cuda, cast_simt};

// Copies between plain and the device's own layout; channels that a block adds become zero.
struct ReorderSpec {
  Dtype dtype = Dtype::f32;
  Shape shape;
  Layout from = Layout::plain, to = Layout::plain;
  auto operator<=>(const ReorderSpec&) const = default;
  std::string str() const;
};

struct ReorderKernels {
  void (*apply)(Context&, const ReorderSpec&, const void* x, void* y);
};

extern const ReorderKernels reorder_cpu, reorder_cuda, reorder_simt;
inline constexpr Backends<ReorderKernels> reorder_kernels{reorder_cpu, reorder_cuda, reorder_simt};

}  // namespace hac
