#pragma once
// Operations element by element. Activations and sums know no layout: called with a buffer that has
// padding channels, their shape is (storage elements).

#include <string>

#include "kernels/core/activation.h"
#include "kernels/core/context.h"
#include "kernels/core/spec.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

// y = activation(x)
struct ActivationSpec {
  Dtype dtype = Dtype::f32;
  Activation activation = Activation::relu;
  Shape shape;

  auto operator<=>(const ActivationSpec&) const = default;
  bool available() const { return has_kernels(activation); }
  Shape in_shape() const { return shape; }
  Shape out_shape() const { return shape; }
  std::string_view kind() const { return activation_names[static_cast<int>(activation)]; }
  Cost cost() const;
  std::string str() const;  // "relu:f32,n1c64h32w32"
  bool parse(std::string_view text);
  Widths widths() const;
  ActivationSpec with(Widths widths) const;
};

struct ActivationKernels {
  void (*forward)(Context&, const ActivationSpec&, const void* x, void* y);
  // x: or y, where output_tells_gradient(activation). dx may be dy.
  void (*backward)(Context&, const ActivationSpec&, const void* x, const void* dy, void* dx);
};

HAC_BACKENDS(ActivationKernels, activation)

// y = activation(a + b); y may alias a or b.
struct AddSpec {
  Dtype dtype = Dtype::f32;
  Activation activation = Activation::none;
  Shape shape;

  auto operator<=>(const AddSpec&) const = default;
  bool available() const { return has_kernels(activation); }
  Shape in_shape() const { return shape; }
  Shape out_shape() const { return shape; }
  std::string_view kind() const { return "add"; }
  Cost cost() const;
  std::string str() const;  // "add:f32,n1c64h32w32"
  bool parse(std::string_view text);
  Widths widths() const;
  AddSpec with(Widths widths) const;
};

struct AddKernels {
  void (*forward)(Context&, const AddSpec&, const void* a, const void* b, void* y);
};

HAC_BACKENDS(AddKernels, add)

// Inverted dropout: y = x * keep / (1 - p), keep ~ Bernoulli(1 - p) drawn by Philox at the
// *logical* NCHW index, so the mask does not depend on the layout; of whole images (stochastic
// depth, Huang et al. 2016) at the image's. Backward is the same call on dy.
struct DropoutSpec {
  Dtype dtype = Dtype::f32;
  Shape shape;
  float p = 0.5f;
  bool images = false;       // an image is kept or dropped as a whole
  std::uint64_t seed = 0;    // stream of this layer
  std::uint64_t offset = 0;  // step, or what is added to a step that the device counts

  auto operator<=>(const DropoutSpec&) const = default;
  Shape in_shape() const { return shape; }
  Shape out_shape() const { return shape; }
  std::string_view kind() const { return "dropout"; }
  Cost cost() const { return {}; }  // off in inference
  std::string str() const;          // "dropout:f32,n1i512,p0.5,images,seed0o0"
  bool parse(std::string_view text);
  Widths widths() const;
  DropoutSpec with(Widths widths) const;
};

struct DropoutKernels {
  // step: one u64 on the device that is added to offset, so that a captured step can be replayed
  // with another mask; null: none.
  void (*apply)(Context&, const DropoutSpec&, const void* step, const void* x, void* y);
};

HAC_BACKENDS(DropoutKernels, dropout)

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

HAC_BACKENDS(CastKernels, cast)

// (N, C, H, W) -> (N, C H W) in logical order; the bytes move by a reorder, or not at all.
struct FlattenSpec {
  Dtype dtype = Dtype::f32;
  Shape shape;

  auto operator<=>(const FlattenSpec&) const = default;
  Shape in_shape() const { return shape; }
  Shape out_shape() const { return {shape[0], shape[1] * shape[2] * shape[3]}; }
  std::string_view kind() const { return "flatten"; }
  Cost cost() const { return {}; }
  std::string str() const;  // "flatten:f32,n1c512h1w1"
  bool parse(std::string_view text);
  Widths widths() const;
  FlattenSpec with(Widths widths) const;
};

// Copies between any two layouts; channels that a block adds become zero.
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

HAC_BACKENDS(ReorderKernels, reorder)

}  // namespace hac
