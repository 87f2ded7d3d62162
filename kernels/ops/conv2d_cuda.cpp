// Convolution on cuDNN. Plans come from kernels/ops/conv2d_plan_cuda.h, or measured from
// kernels/ops/conv2d_autotune_cuda.h, and are cached by spec and options.

#include "kernels/ops/conv2d.h"

#include <tuple>

#include "kernels/cuda/library.h"
#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/conv2d_autotune_cuda.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/ops/conv2d_plan_cuda.h"

namespace hac {
namespace {

using cuda::ConvPlan;

// As it is planned. A forward pass with bias is the inference's with nothing else fused; the
// gradients know no bias.
Conv2dSpec of_pass(const Conv2dSpec& spec, Pass pass) {
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
    return cuda::make_plan(lib.plan_device(), s, lib.options);
  });
}

void execute(Context& ctx, const Conv2dSpec& spec, Pass pass, cuda::ConvOperands operands) {
  const Conv2dSpec s = of_pass(spec, pass);
  const ConvPlan& plan = plan_for(ctx, with_padded_channels(s));
  in_padded_channels(ctx, s, pass, operands.x, operands.w,
                     static_cast<std::size_t>(plan.workspace_bytes),
                     [&](const Conv2dSpec& padded, const void* x, const void* w, void* workspace) {
                       operands.x = x;
                       operands.w = w;
                       cuda::execute(ctx.cuda().cudnn(), plan, padded, operands, workspace);
                     });
}

void forward(Context& ctx, const Conv2dSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  execute(ctx, s, Pass::forward, {.x = x, .w = w, .y = y, .bias = bias});
}

void backward_data(Context& ctx, const Conv2dSpec& s, const void* dy, const void* w, void* dx) {
  execute(ctx, s, Pass::backward_data, {.x = dx, .w = w, .y = dy});
}

void backward_weights(Context& ctx, const Conv2dSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  execute(ctx, s, Pass::backward_weights, {.x = x, .w = dw, .y = dy});
  if (db) bias_gradient_cuda.apply(ctx, s.dtype, s.n * s.oh() * s.ow(), s.k, dy, db);
}

void inference(Context& ctx, const Conv2dSpec& s, const void* x, const void* packed,
               const void* residual, void* y) {
  const void* bias = as<char>(packed) + packed::bias_at(s);
  execute(ctx, s, Pass::inference,
          {.x = x, .w = packed, .y = y, .bias = bias, .residual = residual});
}

ConvImplementation implementation(Context& ctx, const Conv2dSpec& spec) {
  const Conv2dSpec s = with_padded_channels(of_pass(spec, spec.pass));
  return {plan_for(ctx, s).config.name(), spec.cost().macs};
}

}  // namespace

const Conv2dKernels conv2d_cuda{
    .forward = forward,
    .backward_data = backward_data,
    .backward_weights = backward_weights,
    .packed_bytes = packed::bytes,
    .pack = packed::pack,
    .inference = inference,
    .implementation = implementation,
};

}  // namespace hac
