// Pooling on oneDNN, but for max pooling whose windows do not overlap.

#include "kernels/cpu/library.h"
#include "kernels/ops/max_pool_tiles_cpu.h"
#include "kernels/ops/pool2d.h"

namespace hac {
namespace {

bool is_tiled(const Pool2dSpec& s) {
  return s.mode == PoolMode::max && s.dtype != Dtype::f16 && s.kernel == s.stride && s.pad == 0 &&
         s.kernel * s.kernel <= 256;
}

struct Plan {
  cpu::Primitive train, inference, backward;
  std::size_t index_bytes = 0;
};

Plan make_plan(cpu::Library& lib, const Pool2dSpec& s) {
  s.validate();
  using F = cpu::Pooling;
  using B = cpu::PoolingBackward;
  const auto src = cpu::activation_desc(s.in_shape(), s.dtype);
  const auto dst = cpu::activation_desc(s.out_shape(), s.dtype);
  const bool global = s.mode == PoolMode::global_avg;
  const auto algorithm = s.mode == PoolMode::max ? dnnl::algorithm::pooling_max
                                                 : dnnl::algorithm::pooling_avg_include_padding;
  const dnnl::memory::dims kernel{global ? s.h : s.kernel, global ? s.w : s.kernel};
  const std::int64_t step = global ? 1 : s.stride, p = global ? 0 : s.pad;
  const dnnl::memory::dims stride{step, step}, pad{p, p}, dilation{0, 0};
  const auto attr = cpu::user_scratchpad();
  const auto forward = [&](dnnl::prop_kind kind) {
    return cpu::primitive_desc<F>(lib.engine, attr, kind, algorithm, src, dst, stride, kernel,
                                  dilation, pad, pad);
  };
  const F::primitive_desc train = forward(dnnl::prop_kind::forward_training);
  const F::primitive_desc inference = forward(dnnl::prop_kind::forward_inference);
  const auto backward = cpu::backward_desc<B>(lib.engine, attr, train, algorithm, src, dst, stride,
                                              kernel, dilation, pad, pad);
  const Plan plan{
      {lib, F(train)}, {lib, F(inference)}, {lib, B(backward)}, train.workspace_desc().get_size()};
  cpu::warn_if_reference(plan.train, s.str());
  return plan;
}

Plan& plan_for(Context& ctx, const Pool2dSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] { return make_plan(lib, s); });
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  if (is_tiled(s)) {
    s.validate();
    return cpu::max_pool_tiles.forward(ctx, s, x, y, index);
  }
  Plan& plan = plan_for(ctx, s);
  cpu::Primitive& primitive = index ? plan.train : plan.inference;
  primitive.run({{DNNL_ARG_SRC, x},
                 {DNNL_ARG_DST, y},
                 {DNNL_ARG_WORKSPACE, index},
                 {DNNL_ARG_SCRATCHPAD, ctx.scratch(primitive.scratchpad_bytes())}});
}

std::size_t index_bytes(Context& ctx, const Pool2dSpec& s) {
  if (is_tiled(s)) return storage_elements(layout_of({}, s.out_shape()), s.out_shape());
  return plan_for(ctx, s).index_bytes;
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  if (is_tiled(s)) {
    return cpu::max_pool_tiles.backward(ctx, s, dy, index, dx);
  }
  Plan& plan = plan_for(ctx, s);
  plan.backward.run({{DNNL_ARG_DIFF_DST, dy},
                     {DNNL_ARG_DIFF_SRC, dx},
                     {DNNL_ARG_WORKSPACE, plan.index_bytes > 0 ? index : nullptr},
                     {DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.backward.scratchpad_bytes())}});
}

}  // namespace

const Pool2dKernels pool2d_cpu{
    .forward = forward, .index_bytes = index_bytes, .backward = backward};

}  // namespace hac
