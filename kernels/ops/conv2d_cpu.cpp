// Convolution on oneDNN, which chooses algorithm (direct or Winograd) and weight format, and where
// it has reference code alone, as one product over the batch (make_plan). Padded and packed weights
// and scratch memory live in the context's shared scratch buffer, so that the plans of many
// networks hold no memory of weights.

#include <cstring>

#include "kernels/cpu/library.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/conv2d_product_cpu.h"

namespace hac {
namespace {

using dnnl::memory;
using Desc = memory::desc;

bool depthwise(const Conv2dSpec& s) { return s.groups > 1 && s.groups == s.c && s.groups == s.k; }

// How a spec is given to oneDNN: block-padded channels, and the weights in a plain padded form.
struct Geometry {
  Shape w_shape;  // (K', C'/G, R, S) after padding
  Desc src, weights, weights_plain, bias, dst;
  memory::dims strides, pad;
};

// Groups that straddle blocks have no such form.
bool has_geometry(const Conv2dSpec& s) {
  const std::int64_t block = std::max(block_of(layout_of({}, s.in_shape()), s.c),
                                      block_of(layout_of({}, s.out_shape()), s.k));
  const bool aligned = (s.c / s.groups) % block == 0 && (s.k / s.groups) % block == 0;
  return s.groups == 1 || depthwise(s) || aligned;
}

Geometry geometry(const Conv2dSpec& s) {
  Geometry g;
  const Layout in = layout_of({}, s.in_shape());
  const Layout out = layout_of({}, s.out_shape());
  const std::int64_t c = padded_channels(in, s.c), k = padded_channels(out, s.k);
  const std::int64_t groups = depthwise(s) ? k : s.groups;
  g.w_shape = {k, c / groups, s.r, s.s};
  g.src = cpu::activation_desc(s.in_shape(), s.dtype, in);
  g.dst = cpu::activation_desc(s.out_shape(), s.dtype, out);
  const auto type = cpu::data_type(s.dtype);
  memory::dims w{k, c / groups, s.r, s.s};
  auto w_tag = memory::format_tag::oihw;
  if (groups > 1) {
    w = {groups, k / groups, c / groups, s.r, s.s};
    w_tag = memory::format_tag::goihw;
  }
  g.weights = Desc(w, type, memory::format_tag::any);
  g.weights_plain = Desc(w, type, w_tag);
  g.bias = Desc({k}, type, memory::format_tag::x);
  g.strides = {s.stride, s.stride};
  g.pad = {s.pad, s.pad};
  return g;
}

struct Plan {
  cpu::Primitive conv;  // unset where one product over the batch takes its place
  cpu::Primitive pack;  // plain padded weights <-> the primitive's format; unset if they agree
  Shape w_shape;        // of the padded weights
  std::size_t packed_bytes = 0, scratchpad_bytes = 0;
  std::size_t padded_bytes = 0;  // of the plain padded weights, 0 where nothing is padded
  std::string implementation;
};

dnnl::primitive make_primitive(cpu::Library& lib, const Conv2dSpec& s, const Geometry& g) {
  using F = dnnl::convolution_forward;
  using D = dnnl::convolution_backward_data;
  using W = dnnl::convolution_backward_weights;
  const auto kind = s.pass == Pass::inference ? dnnl::prop_kind::forward_inference
                                              : dnnl::prop_kind::forward_training;
  const auto how = dnnl::algorithm::convolution_auto;
  const F::primitive_desc forward(
      s.bias ? F::desc(kind, how, g.src, g.weights, g.bias, g.dst, g.strides, g.pad, g.pad)
             : F::desc(kind, how, g.src, g.weights, g.dst, g.strides, g.pad, g.pad),
      cpu::fused_behind(s.add, s.activation), lib.engine);
  const auto attr = cpu::user_scratchpad();
  if (s.pass == Pass::backward_data) {
    const D::desc desc(how, g.src, g.weights, g.dst, g.strides, g.pad, g.pad);
    return D(D::primitive_desc(desc, attr, lib.engine, forward));
  }
  if (s.pass == Pass::backward_weights) {
    const W::desc desc =
        s.bias ? W::desc(how, g.src, g.weights, g.bias, g.dst, g.strides, g.pad, g.pad)
               : W::desc(how, g.src, g.weights, g.dst, g.strides, g.pad, g.pad);
    return W(W::primitive_desc(desc, attr, lib.engine, forward));
  }
  return F(forward);
}

Plan make_library_plan(cpu::Library& lib, const Conv2dSpec& s) {
  const Geometry g = geometry(s);
  Plan plan{.conv = {lib, make_primitive(lib, s, g)}, .w_shape = g.w_shape};
  const bool unpack = s.pass == Pass::backward_weights;
  const Desc weights = plan.conv.desc(unpack ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS);
  if (weights != g.weights_plain) {
    const Desc from = unpack ? weights : g.weights_plain, to = unpack ? g.weights_plain : weights;
    plan.pack = {lib, dnnl::reorder({lib.engine, from, lib.engine, to})};
  }
  if (g.w_shape != s.weight_shape()) plan.padded_bytes = g.w_shape.numel() * sizeof(float);
  plan.packed_bytes = weights.get_size();
  plan.scratchpad_bytes = plan.conv.scratchpad_bytes();
  plan.implementation = plan.conv.implementation();
  return plan;
}

Plan make_product(const Conv2dSpec& s) {
  if (s.dtype != Dtype::f32) throw_unavailable(s.str(), {});
  const cpu::ProductSizes sizes = cpu::product_sizes(s);
  Plan plan;
  plan.packed_bytes = sizes.weights * sizeof(float);
  plan.scratchpad_bytes = sizes.bytes() - plan.packed_bytes;
  plan.implementation = "product:im2col";
  return plan;
}

// The one choice of algorithm: oneDNN's code for blocked tensors; its other code is several to
// hundreds of times slower than one product over the batch.
Plan make_plan(cpu::Library& lib, const Conv2dSpec& s) {
  s.validate();
  if (!has_geometry(s)) return make_product(s);
  Plan plan = make_library_plan(lib, s);
  return cpu::is_blocked_code(plan.implementation) ? plan : make_product(s);
}

Conv2dSpec of_pass(Conv2dSpec spec, Pass pass) {
  spec.pass = pass;
  return spec;
}

Plan& plan_for(Context& ctx, const Conv2dSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] { return make_plan(lib, s); });
}

// The weights with the channels that blocks add, all of those zero.
void pad_weights(const Plan& plan, const Conv2dSpec& s, const float* w, float* padded) {
  const std::int64_t run = s.c / s.groups * s.r * s.s;
  const std::int64_t padded_run = plan.w_shape[1] * s.r * s.s;
  for (std::int64_t k = 0; k < s.k; ++k) {
    float* to = padded + k * padded_run;
    std::memcpy(to, w + k * run, run * sizeof(float));
    std::memset(to + run, 0, (padded_run - run) * sizeof(float));
  }
  std::memset(padded + s.k * padded_run, 0, (plan.w_shape[0] - s.k) * padded_run * sizeof(float));
}

void strip_weights(const Plan& plan, const Conv2dSpec& s, const float* padded, float* w) {
  const std::int64_t run = s.c / s.groups * s.r * s.s;
  const std::int64_t padded_run = plan.w_shape[1] * s.r * s.s;
  for (std::int64_t k = 0; k < s.k; ++k) {
    std::memcpy(w + k * run, padded + k * padded_run, run * sizeof(float));
  }
}

void pack_weights(Plan& plan, const Conv2dSpec& s, const void* w, void* packed, Scratch& scratch) {
  if (!plan.conv) return cpu::product_pack(s, as<float>(w), as<float>(packed));
  const void* from = w;
  if (plan.padded_bytes > 0) {
    float* padded = as<float>(scratch.take(plan.padded_bytes));
    pad_weights(plan, s, as<float>(w), padded);
    from = padded;
  }
  if (!plan.pack) {
    std::memcpy(packed, from, plan.packed_bytes);
    return;
  }
  plan.pack.run({{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, packed}});
}

void unpack_weights(Plan& plan, const Conv2dSpec& s, const void* packed, void* w,
                    Scratch& scratch) {
  if (!plan.conv) return cpu::product_unpack(s, as<float>(packed), as<float>(w));
  const void* plain = packed;
  if (plan.pack) {
    void* to = plan.padded_bytes > 0 ? scratch.take(plan.padded_bytes) : w;
    plan.pack.run({{DNNL_ARG_FROM, packed}, {DNNL_ARG_TO, to}});
    plain = to;
  }
  if (plan.padded_bytes > 0) {
    strip_weights(plan, s, as<float>(plain), as<float>(w));
  }
}

Scratch scratch_for(Context& ctx, const Plan& plan) {
  return {ctx, {plan.packed_bytes, plan.padded_bytes, plan.scratchpad_bytes}};
}

void execute_forward(Plan& plan, const Conv2dSpec& s, const void* x, const void* packed,
                     const void* bias, void* y, Scratch& scratch) {
  float* work = as<float>(scratch.take(plan.scratchpad_bytes));
  if (!plan.conv) {
    return cpu::product_forward(s, as<float>(x), as<float>(packed),
                                s.bias ? as<float>(bias) : nullptr, as<float>(y), work);
  }
  plan.conv.run({{DNNL_ARG_SRC, x},
                 {DNNL_ARG_WEIGHTS, packed},
                 {DNNL_ARG_BIAS, s.bias ? bias : nullptr},
                 {DNNL_ARG_DST, y},
                 {DNNL_ARG_SCRATCHPAD, work}});
}

void forward(Context& ctx, const Conv2dSpec& spec, const void* x, const void* w, const void* bias,
             void* y) {
  const Conv2dSpec s = of_pass(spec, Pass::forward);
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan);
  void* packed = scratch.take(plan.packed_bytes);
  pack_weights(plan, s, w, packed, scratch);
  execute_forward(plan, s, x, packed, bias, y, scratch);
}

void backward_data(Context& ctx, const Conv2dSpec& spec, const void* dy, const void* w, void* dx) {
  Conv2dSpec s = of_pass(spec, Pass::backward_data);
  s.bias = false;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan);
  void* packed = scratch.take(plan.packed_bytes);
  pack_weights(plan, s, w, packed, scratch);
  float* work = as<float>(scratch.take(plan.scratchpad_bytes));
  if (!plan.conv) {
    return cpu::product_backward_data(s, as<float>(dy), as<float>(packed), as<float>(dx), work);
  }
  plan.conv.run({{DNNL_ARG_DIFF_DST, dy},
                 {DNNL_ARG_WEIGHTS, packed},
                 {DNNL_ARG_DIFF_SRC, dx},
                 {DNNL_ARG_SCRATCHPAD, work}});
}

void backward_weights(Context& ctx, const Conv2dSpec& spec, const void* x, const void* dy, void* dw,
                      void* db) {
  Conv2dSpec s = of_pass(spec, Pass::backward_weights);
  s.bias = db != nullptr;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan);
  const bool direct = plan.conv && !plan.pack && plan.padded_bytes == 0;
  void* packed = direct ? dw : scratch.take(plan.packed_bytes);
  float* work = as<float>(scratch.take(plan.scratchpad_bytes));
  if (plan.conv) {
    plan.conv.run({{DNNL_ARG_SRC, x},
                   {DNNL_ARG_DIFF_DST, dy},
                   {DNNL_ARG_DIFF_WEIGHTS, packed},
                   {DNNL_ARG_DIFF_BIAS, db},
                   {DNNL_ARG_SCRATCHPAD, work}});
  } else {
    cpu::product_backward_weights(s, as<float>(x), as<float>(dy), as<float>(packed), as<float>(db),
                                  work);
  }
  unpack_weights(plan, s, packed, dw, scratch);
}

// Packed for inference: the weights as oneDNN wants them, and behind them the bias.
std::size_t bias_at(std::size_t weight_bytes) { return round_up(weight_bytes, 64); }

std::size_t packed_bytes(Context& ctx, const Conv2dSpec& spec) {
  const std::size_t weights = plan_for(ctx, of_pass(spec, Pass::inference)).packed_bytes;
  return spec.bias ? bias_at(weights) + spec.k * sizeof(float) : weights;
}

void pack(Context& ctx, const Conv2dSpec& spec, const void* w, const void* bias, void* packed) {
  const Conv2dSpec s = of_pass(spec, Pass::inference);
  Plan& plan = plan_for(ctx, s);
  Scratch scratch(ctx, {plan.padded_bytes});
  pack_weights(plan, s, w, packed, scratch);
  if (s.bias) {
    std::memcpy(as<char>(packed) + bias_at(plan.packed_bytes), bias, s.k * sizeof(float));
  }
}

void inference(Context& ctx, const Conv2dSpec& spec, const void* x, const void* packed,
               const void* residual, void* y) {
  const Conv2dSpec s = of_pass(spec, Pass::inference);
  Plan& plan = plan_for(ctx, s);
  const void* bias = as<char>(packed) + bias_at(plan.packed_bytes);
  if (residual && residual != y) {
    const Layout layout = layout_of({}, s.out_shape());
    std::memcpy(y, residual, storage_elements(layout, s.out_shape()) * size_of(s.dtype));
  }
  Scratch scratch(ctx, {plan.scratchpad_bytes});
  execute_forward(plan, s, x, packed, bias, y, scratch);
}

std::string implementation(Context& ctx, const Conv2dSpec& spec) {
  return plan_for(ctx, spec).implementation;
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
