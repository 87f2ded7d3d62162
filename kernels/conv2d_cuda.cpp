// Convolution on cuDNN. Weights are plain f32 outside and packed at each call (training changes
// them anyway); inference packs them once. Plans come from kernels/cuda/conv_plan.h, or measured
// from kernels/cuda/autotune.h, and are cached by spec and options.

#include "kernels/conv2d.h"

#include <tuple>

#include "kernels/cuda/autotune.h"
#include "kernels/cuda/conv_plan.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/weights.h"
#include "kernels/elementwise.h"

namespace hac {
namespace {

using cuda::ConvPlan;
using cuda::Scratch;

// What the plan of a pass depends on: the bias is ours in training and belongs to the plan in
// inference.
Conv2dSpec planned(const Conv2dSpec& spec, Pass pass) {
  Conv2dSpec s = spec;
  s.pass = pass;
  if (pass != Pass::inference) {
    s.bias = false;
    s.epilogue = Epilogue::none;
  }
  return s;
}

const ConvPlan& plan_for(Context& ctx, const Conv2dSpec& s) {
  cuda::Library& lib = ctx.cuda();
  return lib.plan<ConvPlan>(std::tuple(s, lib.options, lib.tuner != nullptr), [&] {
    // Nothing can be timed while work is recorded; it ran before, so its plans are there.
    if (lib.tuner && !capturing()) return cuda::tuned_plan(ctx, s);
    return cuda::make_plan(lib.properties(), s, lib.options);
  });
}

void execute(Context& ctx, const ConvPlan& plan, const Conv2dSpec& s,
             const cuda::ConvOperands& operands, void* workspace) {
  cuda::execute(ctx.cuda().cudnn(), plan, s, operands, workspace);
}

std::int64_t bytes_of(const Conv2dSpec& s, std::int64_t elements) {
  return elements * static_cast<std::int64_t>(size_of(s.dtype));
}

std::int64_t weight_bytes(const Conv2dSpec& s) { return bytes_of(s, s.weight_shape().numel()); }

// Plain f32 weights are already what cuDNN wants where each filter has one tap or one channel.
bool packs_itself(const Conv2dSpec& s) {
  return s.dtype == Dtype::f32 && (s.r * s.s == 1 || s.c == s.groups);
}

const void* packed_weights(Context& ctx, const Conv2dSpec& s, const void* w, Scratch& scratch) {
  if (packs_itself(s)) return w;
  void* packed = scratch.take(weight_bytes(s));
  weights_cuda.pack(ctx, s, w, packed);
  return packed;
}

std::int64_t out_pixels(const Conv2dSpec& s) { return s.n * s.oh() * s.ow(); }

void forward(Context& ctx, const Conv2dSpec& spec, const void* x, const void* w, const void* bias,
             void* y) {
  const Conv2dSpec s = planned(spec, Pass::forward);
  const ConvPlan& plan = plan_for(ctx, s);
  Scratch scratch(ctx, {plan.workspace_bytes, weight_bytes(s)});
  void* workspace = scratch.take(plan.workspace_bytes);
  const void* packed = packed_weights(ctx, s, w, scratch);
  execute(ctx, plan, s, {.x = x, .w = packed, .y = y}, workspace);
  if (spec.bias) {
    weights_cuda.add_bias(ctx, s.dtype, out_pixels(s), s.k, bias, y);
  }
}

void backward_data(Context& ctx, const Conv2dSpec& spec, const void* dy, const void* w, void* dx) {
  const Conv2dSpec s = planned(spec, Pass::backward_data);
  const ConvPlan& plan = plan_for(ctx, s);
  Scratch scratch(ctx, {plan.workspace_bytes, weight_bytes(s)});
  void* workspace = scratch.take(plan.workspace_bytes);
  const void* packed = packed_weights(ctx, s, w, scratch);
  execute(ctx, plan, s, {.x = dx, .w = packed, .y = dy}, workspace);
}

void backward_weights(Context& ctx, const Conv2dSpec& spec, const void* x, const void* dy, void* dw,
                      void* db) {
  const Conv2dSpec s = planned(spec, Pass::backward_weights);
  const ConvPlan& plan = plan_for(ctx, s);
  {
    Scratch scratch(ctx, {plan.workspace_bytes, weight_bytes(s)});
    void* workspace = scratch.take(plan.workspace_bytes);
    void* packed = packs_itself(s) ? dw : scratch.take(weight_bytes(s));
    execute(ctx, plan, s, {.x = x, .w = packed, .y = dy}, workspace);
    if (packed != dw) weights_cuda.unpack(ctx, s, packed, dw);
  }
  if (db) weights_cuda.bias_gradient(ctx, s.dtype, out_pixels(s), s.k, dy, db);
}

// Packed for inference: the weights, and behind them the zeros that stand for a missing bias.
bool needs_zeros(const Conv2dSpec& s) { return cuda::has_bias(s) && !s.bias; }
std::int64_t zeros_at(const Conv2dSpec& s) { return round_up(weight_bytes(s), 16); }

std::size_t packed_bytes(Context&, const Conv2dSpec& spec) {
  const Conv2dSpec s = planned(spec, Pass::inference);
  return static_cast<std::size_t>(zeros_at(s) + (needs_zeros(s) ? bytes_of(s, s.k) : 0));
}

void pack(Context& ctx, const Conv2dSpec& spec, const void* w, void* packed) {
  const Conv2dSpec s = planned(spec, Pass::inference);
  weights_cuda.pack(ctx, s, w, packed);
  if (!needs_zeros(s)) return;
  cuda::check(cudaMemsetAsync(static_cast<char*>(packed) + zeros_at(s), 0,
                              static_cast<std::size_t>(bytes_of(s, s.k)), ctx.cuda().stream),
              "cudaMemsetAsync", s.str().c_str());
}

void inference(Context& ctx, const Conv2dSpec& spec, const void* x, const void* packed,
               const void* bias, const void* residual, void* y) {
  const Conv2dSpec s = planned(spec, Pass::inference);
  const ConvPlan& plan = plan_for(ctx, s);
  const bool cast = s.bias && s.dtype != Dtype::f32;
  Scratch scratch(ctx, {plan.workspace_bytes, cast ? bytes_of(s, s.k) : 0});
  void* workspace = scratch.take(plan.workspace_bytes);
  const void* b = needs_zeros(s) ? static_cast<const char*>(packed) + zeros_at(s) : bias;
  if (cast) {
    void* rounded = scratch.take(bytes_of(s, s.k));
    cast_cuda.apply(ctx, {.to = s.dtype, .elements = s.k}, bias, rounded);
    b = rounded;
  }
  execute(ctx, plan, s, {.x = x, .w = packed, .y = y, .bias = b, .residual = residual}, workspace);
}

std::string implementation(Context& ctx, const Conv2dSpec& spec) {
  return plan_for(ctx, planned(spec, spec.pass)).config.name();
}

}  // namespace

const Conv2dKernels conv2d_cuda{
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .inference = inference,
    .implementation = implementation,
};

}  // namespace hac
