// Convolution on cuDNN. Plans come from kernels/ops/conv2d_plan_cuda.h, or measured from
// kernels/ops/conv2d_autotune_cuda.h, and are cached by spec and options.

#include "kernels/ops/conv2d.h"

#include <tuple>

#include "kernels/cuda/library.h"
#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/conv2d_autotune_cuda.h"
#include "kernels/ops/conv2d_plan_cuda.h"
#include "kernels/ops/elementwise.h"

namespace hac {
namespace {

using cuda::ConvPlan;

// What the plan of a pass depends on. A forward pass with bias is the inference's with nothing else
// fused; the gradients know no bias.
Conv2dSpec planned(const Conv2dSpec& spec, Pass pass) {
  Conv2dSpec s = spec;
  s.pass = pass;
  if (pass == Pass::inference) return s;
  s.add = false;
  s.activation = Activation::none;
  if (pass == Pass::forward && s.bias) {
    s.pass = Pass::inference;
  } else {
    s.bias = false;
  }
  return s;
}

const ConvPlan& plan_for(Context& ctx, const Conv2dSpec& s) {
  cuda::Library& lib = ctx.cuda();
  return lib.plans.get<ConvPlan>(std::tuple(s, lib.options, lib.tuner != nullptr), [&] {
    // Nothing can be timed while work is recorded; it ran before, so its plans are there.
    if (lib.tuner && !capturing()) return cuda::tuned_plan(ctx, s);
    return cuda::make_plan(lib.properties(), s, lib.options);
  });
}

void execute(Context& ctx, const Conv2dSpec& s, const cuda::ConvOperands& operands) {
  const ConvPlan& plan = plan_for(ctx, s);
  const auto bytes = static_cast<std::size_t>(plan.workspace_bytes);
  Scratch scratch(ctx, {bytes});
  void* workspace = scratch.take(bytes);
  cuda::execute(ctx.cuda().cudnn(), plan, s, operands, workspace);
}

std::int64_t bytes_of(const Conv2dSpec& s, std::int64_t elements) {
  return elements * static_cast<std::int64_t>(size_of(s.dtype));
}

std::int64_t weight_bytes(const Conv2dSpec& s) { return bytes_of(s, s.weight_shape().numel()); }

std::int64_t out_pixels(const Conv2dSpec& s) { return s.n * s.oh() * s.ow(); }

void forward(Context& ctx, const Conv2dSpec& spec, const void* x, const void* w, const void* bias,
             void* y) {
  execute(ctx, planned(spec, Pass::forward), {.x = x, .w = w, .y = y, .bias = bias});
}

void backward_data(Context& ctx, const Conv2dSpec& spec, const void* dy, const void* w, void* dx) {
  execute(ctx, planned(spec, Pass::backward_data), {.x = dx, .w = w, .y = dy});
}

void backward_weights(Context& ctx, const Conv2dSpec& spec, const void* x, const void* dy, void* dw,
                      void* db) {
  const Conv2dSpec s = planned(spec, Pass::backward_weights);
  execute(ctx, s, {.x = x, .w = dw, .y = dy});
  if (db) bias_gradient_cuda.apply(ctx, s.dtype, out_pixels(s), s.k, dy, db);
}

// Packed for inference: the weights, and behind them what cuDNN adds: the bias in the activations'
// type, zeros where a plan wants a bias and there is none.
std::int64_t bias_at(const Conv2dSpec& s) { return round_up(weight_bytes(s), 64); }

std::size_t packed_bytes(Context&, const Conv2dSpec& spec) {
  const Conv2dSpec s = planned(spec, Pass::inference);
  return static_cast<std::size_t>(bias_at(s) + (cuda::has_bias(s) ? bytes_of(s, s.k) : 0));
}

// n parameters in the activations' type.
void copy_rounded(Context& ctx, const Conv2dSpec& s, std::int64_t n, const void* from, void* to) {
  if (s.dtype == Dtype::f32) {
    ctx.runtime().copy(ctx, to, from, static_cast<std::size_t>(bytes_of(s, n)));
  } else {
    cast_cuda.apply(ctx, {.to = s.dtype, .elements = n}, from, to);
  }
}

void pack(Context& ctx, const Conv2dSpec& spec, const void* w, const void* bias, void* packed) {
  const Conv2dSpec s = planned(spec, Pass::inference);
  copy_rounded(ctx, s, s.weight_shape().numel(), w, packed);
  void* behind = static_cast<char*>(packed) + bias_at(s);
  if (s.bias) {
    copy_rounded(ctx, s, s.k, bias, behind);
  } else if (cuda::has_bias(s)) {
    ctx.runtime().zero(ctx, behind, static_cast<std::size_t>(bytes_of(s, s.k)));
  }
}

void inference(Context& ctx, const Conv2dSpec& spec, const void* x, const void* packed,
               const void* residual, void* y) {
  const Conv2dSpec s = planned(spec, Pass::inference);
  const void* bias = static_cast<const char*>(packed) + bias_at(s);
  execute(ctx, s, {.x = x, .w = packed, .y = y, .bias = bias, .residual = residual});
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
