// Fully connected layer on oneDNN's inner product, all operands plain.

#include "kernels/cpu/onednn.h"
#include "kernels/ops/linear.h"

namespace hac {
namespace {

struct Plan {
  cpu::Primitive forward, backward_data, backward_weights;
};

Plan make_plan(cpu::Library& lib, const LinearSpec& s) {
  using tag = dnnl::memory::format_tag;
  const auto type = cpu::data_type(s.dtype);
  const dnnl::memory::desc x({s.n, s.in}, type, tag::nc), w({s.out, s.in}, type, tag::oi);
  const dnnl::memory::desc y({s.n, s.out}, type, tag::nc);
  const auto bias = [&](dnnl::memory::data_type t) {
    return s.bias ? dnnl::memory::desc({s.out}, t, tag::x) : dnnl::memory::desc();
  };
  const auto f32 = dnnl::memory::data_type::f32;
  const dnnl::memory::desc dw({s.out, s.in}, f32, tag::oi);
  using F = dnnl::inner_product_forward;
  using D = dnnl::inner_product_backward_data;
  using W = dnnl::inner_product_backward_weights;
  const auto kind = dnnl::prop_kind::forward_training;
  const auto attr = cpu::user_scratchpad();
  const dnnl::engine& engine = cpu::onednn_of(lib).engine;
  const auto f = cpu::primitive_desc<F>(engine, attr, kind, x, w, bias(type), y);
  const auto d = cpu::backward_desc<D>(engine, attr, f, x, w, y);
  const auto g = cpu::backward_desc<W>(engine, attr, f, x, dw, bias(f32), y);
  Plan plan{{lib, F(f)}, {lib, D(d)}, {lib, W(g)}};
  for (const cpu::Primitive& p : {plan.forward, plan.backward_data, plan.backward_weights}) {
    cpu::warn_if_reference(p, s.str());
  }
  return plan;
}

Plan& plan_for(Context& ctx, const LinearSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] { return make_plan(lib, s); });
}

void forward(Context& ctx, const LinearSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  cpu::Primitive& primitive = plan_for(ctx, s).forward;
  primitive.run({{DNNL_ARG_SRC, x},
                 {DNNL_ARG_WEIGHTS, w},
                 {DNNL_ARG_BIAS, s.bias ? bias : nullptr},
                 {DNNL_ARG_DST, y},
                 {DNNL_ARG_SCRATCHPAD, ctx.scratch(primitive.scratchpad_bytes())}});
}

void backward_data(Context& ctx, const LinearSpec& s, const void* dy, const void* w, void* dx) {
  cpu::Primitive& primitive = plan_for(ctx, s).backward_data;
  primitive.run({{DNNL_ARG_DIFF_SRC, dx},
                 {DNNL_ARG_WEIGHTS, w},
                 {DNNL_ARG_DIFF_DST, dy},
                 {DNNL_ARG_SCRATCHPAD, ctx.scratch(primitive.scratchpad_bytes())}});
}

void backward_weights(Context& ctx, const LinearSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  cpu::Primitive& primitive = plan_for(ctx, s).backward_weights;
  primitive.run({{DNNL_ARG_SRC, x},
                 {DNNL_ARG_DIFF_WEIGHTS, dw},
                 {DNNL_ARG_DIFF_BIAS, s.bias ? db : nullptr},
                 {DNNL_ARG_DIFF_DST, dy},
                 {DNNL_ARG_SCRATCHPAD, ctx.scratch(primitive.scratchpad_bytes())}});
}

}  // namespace

const LinearKernels linear_cpu{
    .forward = forward, .backward_data = backward_data, .backward_weights = backward_weights};

}  // namespace hac
