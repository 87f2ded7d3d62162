// Convolution on the CPU. Packed weights and scratch memory live in the context's shared scratch
// buffer, so that the plans of many networks hold no memory of weights.

#include "kernels/ops/conv2d_cpu.h"

#include <cstring>

#include "kernels/cpu/library.h"

namespace hac {
namespace {

using cpu::ConvAlgorithm;
using cpu::ConvPlan;

// What plans are remembered by: with the options of the library a spec has one algorithm, and with
// the algorithm one plan.
struct Choice {
  Conv2dSpec spec;
  cpu::ConvOptions options;
  bool measured;
  auto operator<=>(const Choice&) const = default;
  std::string str() const { return spec.str(); }
};
struct Chosen {
  Conv2dSpec spec;
  ConvAlgorithm algorithm;
  auto operator<=>(const Chosen&) const = default;
  std::string str() const { return spec.str(); }
};

ConvPlan& plan_by(cpu::Library& library, const Conv2dSpec& s, ConvAlgorithm algorithm) {
  return *library.plan<std::unique_ptr<ConvPlan>>(
      Chosen{s, algorithm}, [&] { return cpu::make_plan(library, s, algorithm); });
}

ConvAlgorithm algorithm_for(Context& ctx, const Conv2dSpec& s) {
  cpu::Library& library = ctx.library();
  return library.plan<ConvAlgorithm>(Choice{s, library.conv, library.measured != nullptr}, [&] {
    s.validate();
    return library.measured ? cpu::measured_choice(ctx, s) : cpu::choose(library, s);
  });
}

ConvPlan& plan_for(Context& ctx, Conv2dSpec s, Pass pass) {
  s.pass = pass;
  return plan_by(ctx.library(), s, algorithm_for(ctx, s));
}

void forward(Context& ctx, const Conv2dSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  ConvPlan& plan = plan_for(ctx, s, Pass::forward);
  Scratch scratch(ctx, {plan.packed_bytes, plan.scratch_bytes});
  void* const packed = scratch.take(plan.packed_bytes);
  void* const work = scratch.take(plan.scratch_bytes);
  plan.pack(w, packed, work);
  plan.convolve(x, packed, s.bias ? bias : nullptr, y, work);
}

void backward_data(Context& ctx, const Conv2dSpec& spec, const void* dy, const void* w, void* dx) {
  Conv2dSpec s = spec;
  s.bias = false;
  ConvPlan& plan = plan_for(ctx, s, Pass::backward_data);
  Scratch scratch(ctx, {plan.packed_bytes, plan.scratch_bytes});
  void* const packed = scratch.take(plan.packed_bytes);
  void* const work = scratch.take(plan.scratch_bytes);
  plan.pack(w, packed, work);
  plan.convolve(dy, packed, nullptr, dx, work);
}

void backward_weights(Context& ctx, const Conv2dSpec& spec, const void* x, const void* dy, void* dw,
                      void* db) {
  Conv2dSpec s = spec;
  s.bias = db != nullptr;
  ConvPlan& plan = plan_for(ctx, s, Pass::backward_weights);
  Scratch scratch(ctx, {plan.packed_bytes, plan.scratch_bytes});
  void* const packed = scratch.take(plan.packed_bytes);
  plan.gradient(x, dy, packed, dw, as<float>(db), scratch.take(plan.scratch_bytes));
}

// Packed for inference: which algorithm's it is, the weights as its plan wants them, the bias.
constexpr std::size_t weights_at = 64;
std::size_t bias_at(const ConvPlan& plan) { return weights_at + round_up(plan.packed_bytes, 64); }

std::size_t packed_bytes(Context& ctx, const Conv2dSpec& s) {
  return bias_at(plan_for(ctx, s, Pass::inference)) + (s.bias ? s.k * sizeof(float) : 0);
}

void pack(Context& ctx, const Conv2dSpec& s, const void* w, const void* bias, void* packed) {
  ConvPlan& plan = plan_for(ctx, s, Pass::inference);
  *as<ConvAlgorithm>(packed) = plan.algorithm;
  char* const there = as<char>(packed);
  plan.pack(w, there + weights_at, ctx.scratch(plan.scratch_bytes));
  if (s.bias) std::memcpy(there + bias_at(plan), bias, s.k * sizeof(float));
}

// By the algorithm that the weights were packed for, whatever would be chosen now.
void inference(Context& ctx, const Conv2dSpec& spec, const void* x, const void* packed,
               const void* residual, void* y) {
  Conv2dSpec s = spec;
  s.pass = Pass::inference;
  ConvPlan& plan = plan_by(ctx.library(), s, *as<ConvAlgorithm>(packed));
  const char* const there = as<char>(packed);
  const void* const bias = s.bias ? there + bias_at(plan) : nullptr;
  if (residual && residual != y) {
    const Layout layout = layout_of({}, s.out_shape());
    std::memcpy(y, residual, storage_elements(layout, s.out_shape()) * size_of(s.dtype));
  }
  plan.convolve(x, there + weights_at, bias, y, ctx.scratch(plan.scratch_bytes));
}

ConvImplementation implementation(Context& ctx, const Conv2dSpec& s) {
  return plan_for(ctx, s, s.pass).implementation;
}

}  // namespace

const Conv2dKernels conv2d_cpu{
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .inference = inference,
    .implementation = implementation,
};

}  // namespace hac
