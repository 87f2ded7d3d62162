// Fully connected layer on oneDNN's inner product, all operands plain.

#include "kernels/cpu/library.h"
#include "kernels/ops/linear.h"

namespace hac {
namespace {

struct Plan {
  cpu::Primitive forward, backward_data, backward_weights;
  std::size_t scratchpad_bytes = 0;
};

Plan make_plan(cpu::Library& lib, const LinearSpec& s) {
  using tag = dnnl::memory::format_tag;
  const auto type = cpu::data_type(s.dtype);
  const dnnl::memory::desc x({s.n, s.in}, type, tag::nc), w({s.out, s.in}, type, tag::oi);
  const dnnl::memory::desc b({s.out}, type, tag::x), y({s.n, s.out}, type, tag::nc);
  using F = dnnl::inner_product_forward;
  using W = dnnl::inner_product_backward_weights;
  const auto kind = dnnl::prop_kind::forward_training;
  const F::primitive_desc f(s.bias ? F::desc(kind, x, w, b, y) : F::desc(kind, x, w, y),
                            cpu::user_scratchpad(), lib.engine);
  const dnnl::inner_product_backward_data::primitive_desc d({x, w, y}, cpu::user_scratchpad(),
                                                            lib.engine, f);
  const W::primitive_desc g(s.bias ? W::desc(x, w, b, y) : W::desc(x, w, y), cpu::user_scratchpad(),
                            lib.engine, f);
  for (const char* name : {f.impl_info_str(), d.impl_info_str(), g.impl_info_str()}) {
    cpu::warn_if_reference(name, s.str());
  }
  Plan plan{{lib, F(f)}, {lib, dnnl::inner_product_backward_data(d)}, {lib, W(g)}};
  for (const auto& scratchpad : {f.scratchpad_desc(), d.scratchpad_desc(), g.scratchpad_desc()}) {
    plan.scratchpad_bytes = std::max(plan.scratchpad_bytes, scratchpad.get_size());
  }
  const auto bind = [&](cpu::Primitive& p,
                        std::initializer_list<std::pair<int, dnnl::memory::desc>> args) {
    for (const auto& [arg, desc] : args) p.bind(arg, desc, lib.engine);
  };
  bind(plan.forward, {{DNNL_ARG_SRC, x},
                      {DNNL_ARG_WEIGHTS, w},
                      {DNNL_ARG_DST, y},
                      {DNNL_ARG_SCRATCHPAD, f.scratchpad_desc()}});
  bind(plan.backward_data, {{DNNL_ARG_DIFF_SRC, x},
                            {DNNL_ARG_WEIGHTS, w},
                            {DNNL_ARG_DIFF_DST, y},
                            {DNNL_ARG_SCRATCHPAD, d.scratchpad_desc()}});
  bind(plan.backward_weights, {{DNNL_ARG_SRC, x},
                               {DNNL_ARG_DIFF_WEIGHTS, w},
                               {DNNL_ARG_DIFF_DST, y},
                               {DNNL_ARG_SCRATCHPAD, g.scratchpad_desc()}});
  if (s.bias) {
    plan.forward.bind(DNNL_ARG_BIAS, b, lib.engine);
    plan.backward_weights.bind(DNNL_ARG_DIFF_BIAS, b, lib.engine);
  }
  return plan;
}

Plan& plan_for(Context& ctx, const LinearSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] { return make_plan(lib, s); });
}

void run(Context& ctx, const Plan& plan, cpu::Primitive& primitive,
         std::initializer_list<std::pair<int, const void*>> args) {
  for (const auto& [arg, data] : args) primitive.set(arg, data);
  primitive.set(DNNL_ARG_SCRATCHPAD, ctx.scratch(plan.scratchpad_bytes + 1));
  primitive.run();
}

void forward(Context& ctx, const LinearSpec& s, const void* x, const void* w, const void* bias,
             void* y) {
  Plan& plan = plan_for(ctx, s);
  if (s.bias) plan.forward.set(DNNL_ARG_BIAS, bias);
  run(ctx, plan, plan.forward, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
}

void backward_data(Context& ctx, const LinearSpec& s, const void* dy, const void* w, void* dx) {
  Plan& plan = plan_for(ctx, s);
  run(ctx, plan, plan.backward_data,
      {{DNNL_ARG_DIFF_SRC, dx}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_DST, dy}});
}

void backward_weights(Context& ctx, const LinearSpec& s, const void* x, const void* dy, void* dw,
                      void* db) {
  Plan& plan = plan_for(ctx, s);
  if (s.bias) plan.backward_weights.set(DNNL_ARG_DIFF_BIAS, db);
  run(ctx, plan, plan.backward_weights,
      {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_WEIGHTS, dw}, {DNNL_ARG_DIFF_DST, dy}});
}

}  // namespace

const LinearKernels linear_cpu{
    .forward = forward, .backward_data = backward_data, .backward_weights = backward_weights};

}  // namespace hac
