// Pooling of any windows on oneDNN.

#include "kernels/cpu/onednn.h"
#include "kernels/ops/pool_windows_cpu.h"

namespace hac::cpu {
namespace {

struct Plan {
  Primitive train, inference, backward;
  std::size_t index_bytes = 0;
};

Plan make_plan(Library& lib, const Pool2dSpec& s) {
  s.validate();
  using F = Pooling;
  using B = PoolingBackward;
  const auto src = activation_desc(s.in_shape(), s.dtype);
  const auto dst = activation_desc(s.out_shape(), s.dtype);
  const bool global = s.mode == PoolMode::global_avg;
  const auto algorithm = s.mode == PoolMode::max ? dnnl::algorithm::pooling_max
                                                 : dnnl::algorithm::pooling_avg_include_padding;
  const dnnl::memory::dims kernel{global ? s.h : s.kernel, global ? s.w : s.kernel};
  const std::int64_t step = global ? 1 : s.stride, p = global ? 0 : s.pad;
  const dnnl::memory::dims stride{step, step}, pad{p, p}, dilation{0, 0};
  const auto attr = user_scratchpad();
  const dnnl::engine& engine = onednn_of(lib).engine;
  const auto forward = [&](dnnl::prop_kind kind) {
    return primitive_desc<F>(engine, attr, kind, algorithm, src, dst, stride, kernel, dilation, pad,
                             pad);
  };
  const F::primitive_desc train = forward(dnnl::prop_kind::forward_training);
  const F::primitive_desc inference = forward(dnnl::prop_kind::forward_inference);
  const auto backward = backward_desc<B>(engine, attr, train, algorithm, src, dst, stride, kernel,
                                         dilation, pad, pad);
  const Plan plan{
      {lib, F(train)}, {lib, F(inference)}, {lib, B(backward)}, train.workspace_desc().get_size()};
  warn_if_reference(plan.train, s.str());
  return plan;
}

Plan& plan_for(Context& ctx, const Pool2dSpec& s) {
  Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] { return make_plan(lib, s); });
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  Plan& plan = plan_for(ctx, s);
  Primitive& primitive = index ? plan.train : plan.inference;
  primitive.run({{DNNL_ARG_SRC, x},
                 {DNNL_ARG_DST, y},
                 {DNNL_ARG_WORKSPACE, index},
                 {DNNL_ARG_SCRATCHPAD, ctx.scratch(primitive.scratchpad_bytes())}});
}

std::size_t index_bytes(Context& ctx, const Pool2dSpec& s) { return plan_for(ctx, s).index_bytes; }

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  Plan& plan = plan_for(ctx, s);
  plan.backward.run({{DNNL_ARG_DIFF_DST, dy},
                     {DNNL_ARG_DIFF_SRC, dx},
                     {DNNL_ARG_WORKSPACE, plan.index_bytes > 0 ? index : nullptr},
                     {DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.backward.scratchpad_bytes())}});
}

}  // namespace

const Pool2dKernels pool_windows{
    .forward = forward, .index_bytes = index_bytes, .backward = backward};

}  // namespace hac::cpu
