#pragma once
// How the CPU computes one pass of one convolution: by oneDNN, by one product over the batch, by a
// product a tap, by Winograd's filtering (winograd.md), or channel by channel where it is
// depthwise. conv2d_choice_cpu.cpp chooses.

#include <memory>
#include <span>
#include <string_view>

#include "kernels/cpu/options.h"
#include "kernels/ops/conv2d.h"

namespace hac::cpu {

// The names are those of benchmarks and of the file of measured plans; a new one comes last.
enum class ConvAlgorithm : std::uint8_t {
  direct,
  product,
  winograd4,
  winograd2,
  taps,
  taps_bf16,  // its weights kept in bf16
  winograd2_bf16,
  depthwise,
};
std::span<const std::string_view> conv_algorithm_names();
inline bool is_winograd(ConvAlgorithm a) {
  using enum ConvAlgorithm;
  return a == winograd4 || a == winograd2 || a == winograd2_bf16;
}
inline bool has_bf16_weights(ConvAlgorithm a) {
  return a == ConvAlgorithm::taps_bf16 || a == ConvAlgorithm::winograd2_bf16;
}

// Weights are plain (K, C/G, R, S) or packed as the plan wants them; x, y, dx, dy in
// layout_of(cpu). Types are those of conv2d.h; inference has its bias in f32.
struct ConvPlan {
  explicit ConvPlan(const Conv2dSpec& s) : spec(s) {}
  virtual ~ConvPlan() = default;

  virtual void pack(const void* w, void* packed, void* scratch) = 0;
  // forward and inference: x to y; backward_data: dy to dx. bias is null without; y holds what is
  // added to where the spec adds.
  virtual void convolve(const void* x, const void* packed, const void* bias, void* y,
                        void* scratch) = 0;
  // backward_weights; db is null without bias. `packed` is free to use.
  virtual void gradient(const void* x, const void* dy, void* packed, void* dw, float* db,
                        void* scratch) = 0;

  Conv2dSpec spec;
  ConvAlgorithm algorithm{};
  ConvImplementation implementation;
  std::size_t packed_bytes = 0, scratch_bytes = 0;
};

// A plan for this thread's number of threads; null where the algorithm has none for the spec.
std::unique_ptr<ConvPlan> make_plan(Library& library, const Conv2dSpec& spec,
                                    ConvAlgorithm algorithm);

// By rules that were measured (bench/results) and by library.conv; what is chosen has a plan.
ConvAlgorithm choose(Library& library, const Conv2dSpec& spec);
// By the clock, unless library.measured has it; it must be set. Throws OutOfMemory, IoError.
ConvAlgorithm measured_choice(Context& ctx, const Conv2dSpec& spec);

// Null where oneDNN has no code for blocked tensors: its other code is several to hundreds of times
// slower than the product.
std::unique_ptr<ConvPlan> onednn_plan(Library& library, const Conv2dSpec& spec);
}  // namespace hac::cpu
