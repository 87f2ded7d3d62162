// Batch norm (+ ReLU) on oneDNN; it has no fused residual add, so add + ReLU is a loop of ours
// behind it.

#include <cstring>

#include "kernels/batchnorm.h"
#include "kernels/cpu/library.h"
#include "kernels/elementwise.h"

namespace hac {
namespace {

using Forward = dnnl::batch_normalization_forward;
using Backward = dnnl::batch_normalization_backward;

enum class Mode { train, eval, backward };

struct Plan {
  cpu::Primitive run;
  std::size_t mask_bytes = 0, scratchpad_bytes = 0;
};

bool fused_relu(const BatchNormSpec& s) { return s.relu && !s.add; }

dnnl::normalization_flags flags(const BatchNormSpec& s, Mode mode) {
  auto f = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
  if (mode == Mode::eval) f = f | dnnl::normalization_flags::use_global_stats;
  if (fused_relu(s)) f = f | dnnl::normalization_flags::fuse_norm_relu;
  return f;
}

Plan make_plan(cpu::Library& lib, const BatchNormSpec& s, Mode mode) {
  const auto data = cpu::activation_desc(s.shape(), s.dtype);
  const auto kind =
      mode == Mode::eval ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  const Forward::primitive_desc forward({kind, data, s.eps, flags(s, mode)}, cpu::user_scratchpad(),
                                        lib.engine);
  const dnnl::memory::desc channel({data.dims()[1]}, dnnl::memory::data_type::f32,
                                   dnnl::memory::format_tag::x);
  Plan plan;
  plan.mask_bytes = forward.workspace_desc().get_size();
  const auto bind = [&](int arg, const dnnl::memory::desc& d) {
    plan.run.bind(arg, d, lib.engine);
  };
  if (mode == Mode::backward) {
    const Backward::primitive_desc pd(
        {dnnl::prop_kind::backward, data, data, s.eps, flags(s, mode)}, cpu::user_scratchpad(),
        lib.engine, forward);
    plan.run = cpu::Primitive(lib, Backward(pd));
    plan.scratchpad_bytes = pd.scratchpad_desc().get_size();
    bind(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
    bind(DNNL_ARG_DIFF_DST, data);
    bind(DNNL_ARG_DIFF_SRC, data);
    bind(DNNL_ARG_DIFF_SCALE, channel);
    bind(DNNL_ARG_DIFF_SHIFT, channel);
  } else {
    plan.run = cpu::Primitive(lib, Forward(forward));
    plan.scratchpad_bytes = forward.scratchpad_desc().get_size();
    bind(DNNL_ARG_SCRATCHPAD, forward.scratchpad_desc());
    bind(DNNL_ARG_DST, data);
  }
  bind(DNNL_ARG_SRC, data);
  bind(DNNL_ARG_SCALE, channel);
  bind(DNNL_ARG_SHIFT, channel);
  bind(DNNL_ARG_MEAN, channel);
  bind(DNNL_ARG_VARIANCE, channel);
  if (plan.mask_bytes > 0) bind(DNNL_ARG_WORKSPACE, forward.workspace_desc());
  return plan;
}

template <Mode mode>
struct ModePlan : Plan {};  // a cache of its own for each mode

template <Mode mode>
Plan& plan_for(Context& ctx, const BatchNormSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<ModePlan<mode>>(s, [&] { return ModePlan<mode>{make_plan(lib, s, mode)}; });
}

ElementwiseSpec elements(const BatchNormSpec& s) {
  return {.dtype = s.dtype, .elements = storage_elements(layout_of({}, s.shape()), s.shape())};
}

void run_forward(Context& ctx, Plan& plan, const BatchNormSpec& s, const void* x,
                 const void* residual, const void* gamma, const void* beta, const void* mean,
                 const void* var, void* y) {
  plan.run.set(DNNL_ARG_SRC, x);
  plan.run.set(DNNL_ARG_DST, y);
  plan.run.set(DNNL_ARG_SCALE, gamma);
  plan.run.set(DNNL_ARG_SHIFT, beta);
  plan.run.set(DNNL_ARG_MEAN, mean);
  plan.run.set(DNNL_ARG_VARIANCE, var);
  plan.run.set(DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.scratchpad_bytes + 1));
  plan.run.run();
  if (!s.add) return;
  const auto add = s.relu ? elementwise_cpu.add_relu : elementwise_cpu.add;
  add(ctx, elements(s), y, residual, y);
}

void forward_train(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                   const void* gamma, const void* beta, void* y, void* mean, void* var,
                   void* mask) {
  Plan& plan = plan_for<Mode::train>(ctx, s);
  if (plan.mask_bytes > 0) plan.run.set(DNNL_ARG_WORKSPACE, mask);
  run_forward(ctx, plan, s, x, residual, gamma, beta, mean, var, y);
}

void forward_eval(Context& ctx, const BatchNormSpec& s, const void* x, const void* residual,
                  const void* gamma, const void* beta, const void* mean, const void* var, void* y) {
  run_forward(ctx, plan_for<Mode::eval>(ctx, s), s, x, residual, gamma, beta, mean, var, y);
}

std::size_t mask_bytes(Context& ctx, const BatchNormSpec& s) {
  return plan_for<Mode::train>(ctx, s).mask_bytes;
}

void backward(Context& ctx, const BatchNormSpec& s, const void* x, const void* y, const void* gamma,
              const void* beta, const void* mean, const void* var, const void* mask, const void* dy,
              void* dx, void* dgamma, void* dbeta, void* dresidual) {
  Plan& plan = plan_for<Mode::backward>(ctx, s);
  if (s.add) {
    if (s.relu) {
      elementwise_cpu.relu_backward(ctx, elements(s), y, dy, dresidual);
    } else {
      std::memcpy(dresidual, dy, elements(s).elements * size_of(s.dtype));
    }
    dy = dresidual;
  }
  if (plan.mask_bytes > 0) plan.run.set(DNNL_ARG_WORKSPACE, mask);
  plan.run.set(DNNL_ARG_SRC, x);
  plan.run.set(DNNL_ARG_SCALE, gamma);
  plan.run.set(DNNL_ARG_SHIFT, beta);
  plan.run.set(DNNL_ARG_MEAN, mean);
  plan.run.set(DNNL_ARG_VARIANCE, var);
  plan.run.set(DNNL_ARG_DIFF_DST, dy);
  plan.run.set(DNNL_ARG_DIFF_SRC, dx);
  plan.run.set(DNNL_ARG_DIFF_SCALE, dgamma);
  plan.run.set(DNNL_ARG_DIFF_SHIFT, dbeta);
  plan.run.set(DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.scratchpad_bytes + 1));
  plan.run.run();
}

}  // namespace

const BatchNormKernels batchnorm_cpu{
    .forward_train = forward_train,
    .mask_bytes = mask_bytes,
    .forward_eval = forward_eval,
    .backward = backward,
};

}  // namespace hac
