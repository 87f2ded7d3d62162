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

const float* floats(const void* p) { return static_cast<const float*>(p); }
float* floats(void* p) { return static_cast<float*>(p); }

bool depthwise(const Conv2dSpec& s) { return s.groups > 1 && s.groups == s.c && s.groups == s.k; }

// How a spec is given to oneDNN: block-padded channels, and the weights in a plain padded form.
struct Geometry {
  Shape w_shape;  // (K', C'/G, R, S) after padding
  std::int64_t groups = 1;
  Desc src, weights_any, weights_plain, bias, dst;
  memory::dims strides, padding;
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
  g.groups = depthwise(s) ? k : s.groups;
  g.w_shape = {k, c / g.groups, s.r, s.s};
  g.src = cpu::activation_desc(s.in_shape(), s.dtype, in);
  g.dst = cpu::activation_desc(s.out_shape(), s.dtype, out);
  const auto type = cpu::data_type(s.dtype);
  memory::dims w{k, c / g.groups, s.r, s.s};
  auto w_tag = memory::format_tag::oihw;
  if (g.groups > 1) {
    w = {g.groups, k / g.groups, c / g.groups, s.r, s.s};
    w_tag = memory::format_tag::goihw;
  }
  g.weights_any = Desc(w, type, memory::format_tag::any);
  g.weights_plain = Desc(w, type, w_tag);
  g.bias = Desc({k}, type, memory::format_tag::x);
  g.strides = {s.stride, s.stride};
  g.padding = {s.pad, s.pad};
  return g;
}

struct Plan {
  Geometry g;           // of oneDNN's code
  cpu::Primitive conv;  // unset where one product over the batch takes its place
  cpu::Primitive pack;  // plain padded weights <-> the primitive's format; unset if they agree
  std::size_t packed_bytes = 0, scratchpad_bytes = 0;
  std::size_t padded_bytes = 0;  // of the plain padded weights, 0 where nothing is padded
  std::string implementation;
};

constexpr std::size_t kAlign = 64;
std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

dnnl::convolution_forward::primitive_desc forward_desc(cpu::Library& lib, const Conv2dSpec& s,
                                                       const Geometry& g) {
  const auto kind = s.pass == Pass::inference ? dnnl::prop_kind::forward_inference
                                              : dnnl::prop_kind::forward_training;
  const auto algorithm = dnnl::algorithm::convolution_auto;
  using D = dnnl::convolution_forward::desc;
  const D desc =
      s.bias
          ? D(kind, algorithm, g.src, g.weights_any, g.bias, g.dst, g.strides, g.padding, g.padding)
          : D(kind, algorithm, g.src, g.weights_any, g.dst, g.strides, g.padding, g.padding);
  return {desc, cpu::fused_behind(s.add, s.activation), lib.engine};
}

std::size_t plain_bytes(const Shape& shape) { return shape.numel() * sizeof(float); }

template <class PrimitiveDesc>
void finish(Plan& plan, cpu::Library& lib, const Conv2dSpec& s, const PrimitiveDesc& pd,
            const Desc& weights, bool unpack) {
  const bool padded = plan.g.w_shape != s.weight_shape();
  plan.padded_bytes = padded ? plain_bytes(plan.g.w_shape) : 0;
  plan.packed_bytes = weights.get_size();
  plan.scratchpad_bytes = pd.scratchpad_desc().get_size();
  plan.implementation = pd.impl_info_str();
  plan.conv.bind(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc(), lib.engine);
  const Geometry& g = plan.g;
  if (weights != g.weights_plain) {
    const Desc from = unpack ? weights : g.weights_plain, to = unpack ? g.weights_plain : weights;
    const dnnl::reorder::primitive_desc reorder(lib.engine, from, lib.engine, to);
    plan.pack = cpu::Primitive(lib, dnnl::reorder(reorder));
    plan.pack.bind(DNNL_ARG_FROM, from, lib.engine);
    plan.pack.bind(DNNL_ARG_TO, to, lib.engine);
  }
}

Plan make_forward(cpu::Library& lib, const Conv2dSpec& s) {
  Plan plan{.g = geometry(s)};
  const auto pd = forward_desc(lib, s, plan.g);
  plan.conv = cpu::Primitive(lib, dnnl::convolution_forward(pd));
  plan.conv.bind(DNNL_ARG_SRC, pd.src_desc(), lib.engine);
  plan.conv.bind(DNNL_ARG_WEIGHTS, pd.weights_desc(), lib.engine);
  plan.conv.bind(DNNL_ARG_DST, pd.dst_desc(), lib.engine);
  if (s.bias) plan.conv.bind(DNNL_ARG_BIAS, plan.g.bias, lib.engine);
  finish(plan, lib, s, pd, pd.weights_desc(), false);
  return plan;
}

Plan make_backward_data(cpu::Library& lib, const Conv2dSpec& s) {
  Plan plan{.g = geometry(s)};
  const Geometry& g = plan.g;
  const dnnl::convolution_backward_data::desc desc(dnnl::algorithm::convolution_auto, g.src,
                                                   g.weights_any, g.dst, g.strides, g.padding,
                                                   g.padding);
  const dnnl::convolution_backward_data::primitive_desc pd(desc, cpu::user_scratchpad(), lib.engine,
                                                           forward_desc(lib, s, g));
  plan.conv = cpu::Primitive(lib, dnnl::convolution_backward_data(pd));
  plan.conv.bind(DNNL_ARG_DIFF_SRC, pd.diff_src_desc(), lib.engine);
  plan.conv.bind(DNNL_ARG_WEIGHTS, pd.weights_desc(), lib.engine);
  plan.conv.bind(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), lib.engine);
  finish(plan, lib, s, pd, pd.weights_desc(), false);
  return plan;
}

Plan make_backward_weights(cpu::Library& lib, const Conv2dSpec& s) {
  Plan plan{.g = geometry(s)};
  const Geometry& g = plan.g;
  const auto algorithm = dnnl::algorithm::convolution_auto;
  using D = dnnl::convolution_backward_weights::desc;
  const D desc =
      s.bias ? D(algorithm, g.src, g.weights_any, g.bias, g.dst, g.strides, g.padding, g.padding)
             : D(algorithm, g.src, g.weights_any, g.dst, g.strides, g.padding, g.padding);
  const dnnl::convolution_backward_weights::primitive_desc pd(desc, cpu::user_scratchpad(),
                                                              lib.engine, forward_desc(lib, s, g));
  plan.conv = cpu::Primitive(lib, dnnl::convolution_backward_weights(pd));
  plan.conv.bind(DNNL_ARG_SRC, pd.src_desc(), lib.engine);
  plan.conv.bind(DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc(), lib.engine);
  plan.conv.bind(DNNL_ARG_DIFF_DST, pd.diff_dst_desc(), lib.engine);
  if (s.bias) plan.conv.bind(DNNL_ARG_DIFF_BIAS, g.bias, lib.engine);
  finish(plan, lib, s, pd, pd.diff_weights_desc(), true);
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

Plan make_library_plan(cpu::Library& lib, const Conv2dSpec& s) {
  switch (s.pass) {
    case Pass::backward_data:
      return make_backward_data(lib, s);
    case Pass::backward_weights:
      return make_backward_weights(lib, s);
    default:
      return make_forward(lib, s);
  }
}

// The one choice of algorithm: oneDNN's code for blocked tensors; its other code is several to
// hundreds of times slower than one product over the batch.
Plan make_plan(cpu::Library& lib, const Conv2dSpec& s) {
  s.validate();
  if (!has_geometry(s)) return make_product(s);
  Plan plan = make_library_plan(lib, s);
  return cpu::is_blocked_code(plan.implementation) ? plan : make_product(s);
}

Plan& plan_for(Context& ctx, const Conv2dSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] { return make_plan(lib, s); });
}

// The weights with the channels that blocks add, all of those zero.
void pad_weights(const Plan& plan, const Conv2dSpec& s, const float* w, float* padded) {
  const std::int64_t run = s.c / s.groups * s.r * s.s;
  const std::int64_t padded_run = plan.g.w_shape[1] * s.r * s.s;
  for (std::int64_t k = 0; k < s.k; ++k) {
    float* to = padded + k * padded_run;
    std::memcpy(to, w + k * run, run * sizeof(float));
    std::memset(to + run, 0, (padded_run - run) * sizeof(float));
  }
  std::memset(padded + s.k * padded_run, 0, (plan.g.w_shape[0] - s.k) * padded_run * sizeof(float));
}

void strip_weights(const Plan& plan, const Conv2dSpec& s, const float* padded, float* w) {
  const std::int64_t run = s.c / s.groups * s.r * s.s;
  const std::int64_t padded_run = plan.g.w_shape[1] * s.r * s.s;
  for (std::int64_t k = 0; k < s.k; ++k) {
    std::memcpy(w + k * run, padded + k * padded_run, run * sizeof(float));
  }
}

void pack_weights(Plan& plan, const Conv2dSpec& s, const void* w, void* packed, Scratch& scratch) {
  if (!plan.conv) return cpu::product_pack(s, floats(w), floats(packed));
  const void* from = w;
  if (plan.padded_bytes > 0) {
    float* padded = floats(scratch.take(plan.padded_bytes));
    pad_weights(plan, s, floats(w), padded);
    from = padded;
  }
  if (!plan.pack) {
    std::memcpy(packed, from, plan.packed_bytes);
    return;
  }
  plan.pack.set(DNNL_ARG_FROM, from);
  plan.pack.set(DNNL_ARG_TO, packed);
  plan.pack.run();
}

void unpack_weights(Plan& plan, const Conv2dSpec& s, const void* packed, void* w,
                    Scratch& scratch) {
  if (!plan.conv) return cpu::product_unpack(s, floats(packed), floats(w));
  const void* plain = packed;
  if (plan.pack) {
    void* to = plan.padded_bytes > 0 ? scratch.take(plan.padded_bytes) : w;
    plan.pack.set(DNNL_ARG_FROM, packed);
    plan.pack.set(DNNL_ARG_TO, to);
    plan.pack.run();
    plain = to;
  }
  if (plan.padded_bytes > 0) {
    strip_weights(plan, s, floats(plain), floats(w));
  }
}

Scratch scratch_for(Context& ctx, const Plan& plan) {
  return {ctx, {plan.packed_bytes, plan.padded_bytes, plan.scratchpad_bytes}};
}

void execute_forward(Plan& plan, const Conv2dSpec& s, const void* x, const void* packed,
                     const void* bias, void* y, Scratch& scratch) {
  float* work = floats(scratch.take(plan.scratchpad_bytes));
  if (!plan.conv) {
    return cpu::product_forward(s, floats(x), floats(packed), s.bias ? floats(bias) : nullptr,
                                floats(y), work);
  }
  plan.conv.set(DNNL_ARG_SRC, x);
  plan.conv.set(DNNL_ARG_WEIGHTS, packed);
  if (s.bias) plan.conv.set(DNNL_ARG_BIAS, bias);
  plan.conv.set(DNNL_ARG_DST, y);
  plan.conv.set(DNNL_ARG_SCRATCHPAD, work);
  plan.conv.run();
}

void forward(Context& ctx, const Conv2dSpec& spec, const void* x, const void* w, const void* bias,
             void* y) {
  Conv2dSpec s = spec;
  s.pass = Pass::forward;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan);
  void* packed = scratch.take(plan.packed_bytes);
  pack_weights(plan, s, w, packed, scratch);
  execute_forward(plan, s, x, packed, bias, y, scratch);
}

void backward_data(Context& ctx, const Conv2dSpec& spec, const void* dy, const void* w, void* dx) {
  Conv2dSpec s = spec;
  s.pass = Pass::backward_data;
  s.bias = false;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan);
  void* packed = scratch.take(plan.packed_bytes);
  pack_weights(plan, s, w, packed, scratch);
  float* work = floats(scratch.take(plan.scratchpad_bytes));
  if (!plan.conv) {
    return cpu::product_backward_data(s, floats(dy), floats(packed), floats(dx), work);
  }
  plan.conv.set(DNNL_ARG_DIFF_DST, dy);
  plan.conv.set(DNNL_ARG_WEIGHTS, packed);
  plan.conv.set(DNNL_ARG_DIFF_SRC, dx);
  plan.conv.set(DNNL_ARG_SCRATCHPAD, work);
  plan.conv.run();
}

void backward_weights(Context& ctx, const Conv2dSpec& spec, const void* x, const void* dy, void* dw,
                      void* db) {
  Conv2dSpec s = spec;
  s.pass = Pass::backward_weights;
  s.bias = db != nullptr;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan);
  const bool direct = plan.conv && !plan.pack && plan.padded_bytes == 0;
  void* packed = direct ? dw : scratch.take(plan.packed_bytes);
  float* work = floats(scratch.take(plan.scratchpad_bytes));
  if (plan.conv) {
    plan.conv.set(DNNL_ARG_SRC, x);
    plan.conv.set(DNNL_ARG_DIFF_DST, dy);
    plan.conv.set(DNNL_ARG_DIFF_WEIGHTS, packed);
    if (db) plan.conv.set(DNNL_ARG_DIFF_BIAS, db);
    plan.conv.set(DNNL_ARG_SCRATCHPAD, work);
    plan.conv.run();
  } else {
    cpu::product_backward_weights(s, floats(x), floats(dy), floats(packed), floats(db), work);
  }
  unpack_weights(plan, s, packed, dw, scratch);
}

Conv2dSpec inference_spec(const Conv2dSpec& spec) {
  Conv2dSpec s = spec;
  s.pass = Pass::inference;
  return s;
}

// Packed for inference: the weights as oneDNN wants them, and behind them the bias.
std::size_t packed_bytes(Context& ctx, const Conv2dSpec& spec) {
  const std::size_t weights = plan_for(ctx, inference_spec(spec)).packed_bytes;
  return spec.bias ? aligned(weights) + spec.k * sizeof(float) : weights;
}

void pack(Context& ctx, const Conv2dSpec& spec, const void* w, const void* bias, void* packed) {
  const Conv2dSpec s = inference_spec(spec);
  Plan& plan = plan_for(ctx, s);
  Scratch scratch(ctx, {plan.padded_bytes});
  pack_weights(plan, s, w, packed, scratch);
  if (s.bias) {
    std::memcpy(static_cast<char*>(packed) + aligned(plan.packed_bytes), bias, s.k * sizeof(float));
  }
}

void inference(Context& ctx, const Conv2dSpec& spec, const void* x, const void* packed,
               const void* residual, void* y) {
  const Conv2dSpec s = inference_spec(spec);
  Plan& plan = plan_for(ctx, s);
  const void* bias = static_cast<const char*>(packed) + aligned(plan.packed_bytes);
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
