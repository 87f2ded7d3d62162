// Pooling on oneDNN, but for max pooling whose windows do not overlap.

#include "kernels/cpu/library.h"
#include "kernels/ops/max_pool_tiles_cpu.h"
#include "kernels/ops/pool2d.h"

namespace hac {
namespace {

enum class Mode { train, inference, backward };

struct Plan {
  cpu::Primitive run;
  std::size_t index_bytes = 0, scratchpad_bytes = 0;
};

Plan make_plan(cpu::Library& lib, const Pool2dSpec& s, Mode mode) {
  s.validate();
  const auto src = cpu::activation_desc(s.in_shape(), s.dtype);
  const auto dst = cpu::activation_desc(s.out_shape(), s.dtype);
  const bool global = s.mode == PoolMode::global_avg;
  const auto algorithm = s.mode == PoolMode::max ? dnnl::algorithm::pooling_max
                                                 : dnnl::algorithm::pooling_avg_include_padding;
  const dnnl::memory::dims kernel =
      global ? dnnl::memory::dims{s.h, s.w} : dnnl::memory::dims{s.kernel, s.kernel};
  const dnnl::memory::dims stride =
      global ? dnnl::memory::dims{1, 1} : dnnl::memory::dims{s.stride, s.stride};
  const std::int64_t p = global ? 0 : s.pad;
  const dnnl::memory::dims pad{p, p};
  const auto kind = mode == Mode::inference ? dnnl::prop_kind::forward_inference
                                            : dnnl::prop_kind::forward_training;
  const dnnl::pooling_forward::primitive_desc forward(
      {kind, algorithm, src, dst, stride, kernel, pad, pad}, cpu::user_scratchpad(), lib.engine);
  cpu::warn_if_reference(forward.impl_info_str(), s.str());
  Plan plan;
  plan.index_bytes = forward.workspace_desc().get_size();
  if (mode == Mode::backward) {
    const dnnl::pooling_backward::primitive_desc pd({algorithm, src, dst, stride, kernel, pad, pad},
                                                    cpu::user_scratchpad(), lib.engine, forward);
    plan.run = cpu::Primitive(lib, dnnl::pooling_backward(pd));
    plan.scratchpad_bytes = pd.scratchpad_desc().get_size();
    plan.run.bind(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc(), lib.engine);
    plan.run.bind(DNNL_ARG_DIFF_DST, dst, lib.engine);
    plan.run.bind(DNNL_ARG_DIFF_SRC, src, lib.engine);
  } else {
    plan.run = cpu::Primitive(lib, dnnl::pooling_forward(forward));
    plan.scratchpad_bytes = forward.scratchpad_desc().get_size();
    plan.run.bind(DNNL_ARG_SCRATCHPAD, forward.scratchpad_desc(), lib.engine);
    plan.run.bind(DNNL_ARG_SRC, src, lib.engine);
    plan.run.bind(DNNL_ARG_DST, dst, lib.engine);
  }
  if (plan.index_bytes > 0) {
    plan.run.bind(DNNL_ARG_WORKSPACE, forward.workspace_desc(), lib.engine);
  }
  return plan;
}

template <Mode mode>
struct ModePlan : Plan {};  // a cache of its own for each mode

template <Mode mode>
Plan& plan_for(Context& ctx, const Pool2dSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<ModePlan<mode>>(s, [&] { return ModePlan<mode>{make_plan(lib, s, mode)}; });
}

void forward(Context& ctx, const Pool2dSpec& s, const void* x, void* y, void* index) {
  if (cpu::is_tiled(s)) {
    s.validate();
    return cpu::max_pool_tiles.forward(s, static_cast<const float*>(x), static_cast<float*>(y),
                                       static_cast<std::uint8_t*>(index));
  }
  const bool keep = index != nullptr;
  Plan& plan = keep ? plan_for<Mode::train>(ctx, s) : plan_for<Mode::inference>(ctx, s);
  if (keep) plan.run.set(DNNL_ARG_WORKSPACE, index);
  plan.run.set(DNNL_ARG_SRC, x);
  plan.run.set(DNNL_ARG_DST, y);
  plan.run.set(DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.scratchpad_bytes + 1));
  plan.run.run();
}

std::size_t index_bytes(Context& ctx, const Pool2dSpec& s) {
  if (cpu::is_tiled(s)) return cpu::tiled_index_bytes(s);
  return plan_for<Mode::train>(ctx, s).index_bytes;
}

void backward(Context& ctx, const Pool2dSpec& s, const void* dy, const void* index, void* dx) {
  if (cpu::is_tiled(s)) {
    return cpu::max_pool_tiles.backward(s, static_cast<const float*>(dy),
                                        static_cast<const std::uint8_t*>(index),
                                        static_cast<float*>(dx));
  }
  Plan& plan = plan_for<Mode::backward>(ctx, s);
  if (plan.index_bytes > 0) plan.run.set(DNNL_ARG_WORKSPACE, index);
  plan.run.set(DNNL_ARG_DIFF_DST, dy);
  plan.run.set(DNNL_ARG_DIFF_SRC, dx);
  plan.run.set(DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.scratchpad_bytes + 1));
  plan.run.run();
}

}  // namespace

namespace cpu {

bool is_tiled(const Pool2dSpec& s) {
  return s.mode == PoolMode::max && s.dtype == Dtype::f32 && s.kernel == s.stride && s.pad == 0 &&
         s.kernel * s.kernel <= 256;
}

std::size_t tiled_index_bytes(const Pool2dSpec& s) {
  return storage_elements(layout_of({}, s.out_shape()), s.out_shape());
}

}  // namespace cpu

const Pool2dKernels pool2d_cpu{
    .forward = forward, .index_bytes = index_bytes, .backward = backward};

}  // namespace hac
