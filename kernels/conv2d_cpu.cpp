// Convolution on oneDNN. The library chooses algorithm (direct or Winograd) and weight format;
// padded and packed weights and its scratch memory live in the context's shared scratch buffer, so
// that the plans of many networks hold no memory of weights.

#include <cstring>

#include "kernels/conv2d.h"
#include "kernels/cpu/library.h"
#include "kernels/elementwise.h"

namespace hac {
namespace {

using dnnl::memory;
using Desc = memory::desc;

// How a spec is given to oneDNN: block-padded channels, and the weights in a plain padded form.
struct Geometry {
  bool plain = false;  // grouped channels that straddle blocks: compute in NCHW
  Layout in, out;      // of the tensors outside
  Shape w_shape;       // (K', C'/G, R, S) after padding
  std::int64_t groups = 1;
  Desc src, weights_any, weights_plain, bias, dst;
  memory::dims strides, padding;
};

Geometry geometry(const Conv2dSpec& s) {
  Geometry g;
  g.in = layout_of({}, s.in_shape());
  g.out = layout_of({}, s.out_shape());
  const std::int64_t block = std::max(block_of(g.in, s.c), block_of(g.out, s.k));
  const bool depthwise = s.groups > 1 && s.groups == s.c && s.groups == s.k;
  const bool aligned = (s.c / s.groups) % block == 0 && (s.k / s.groups) % block == 0;
  g.plain = (s.groups > 1 && !depthwise && !aligned) || (g.out == Layout::plain);
  const Layout in = g.plain ? Layout::plain : g.in, out = g.plain ? Layout::plain : g.out;
  const std::int64_t c = padded_channels(in, s.c), k = padded_channels(out, s.k);
  g.groups = depthwise ? k : s.groups;
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
  Geometry g;
  cpu::Primitive conv;
  cpu::Primitive pack;  // plain padded weights <-> the primitive's format; unset if they agree
  std::size_t packed_bytes = 0, scratchpad_bytes = 0;
  std::size_t padded_bytes = 0;  // of the plain padded weights, 0 where nothing is padded
  std::string implementation;
};

constexpr std::size_t kAlign = 64;
std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

dnnl::primitive_attr attributes(Epilogue epilogue) {
  dnnl::primitive_attr attr = cpu::user_scratchpad();
  dnnl::post_ops ops;
  if (epilogue == Epilogue::add || epilogue == Epilogue::add_relu) ops.append_sum(1.f);
  if (epilogue == Epilogue::relu || epilogue == Epilogue::add_relu) {
    ops.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
  }
  attr.set_post_ops(ops);
  return attr;
}

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
  return {desc, attributes(s.epilogue), lib.engine};
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

Plan& plan_for(Context& ctx, const Conv2dSpec& s) {
  cpu::Library& lib = ctx.library();
  return lib.plan<Plan>(s, [&] {
    s.validate();
    switch (s.pass) {
      case Pass::backward_data:
        return make_backward_data(lib, s);
      case Pass::backward_weights:
        return make_backward_weights(lib, s);
      default:
        return make_forward(lib, s);
    }
  });
}

// The scratch buffer of one call, cut into aligned parts.
class Scratch {
 public:
  Scratch(Context& ctx, std::initializer_list<std::size_t> parts) {
    std::size_t total = 0;
    for (const std::size_t p : parts) total += aligned(p);
    next_ = static_cast<char*>(ctx.scratch(std::max<std::size_t>(total, 1)));
  }
  void* take(std::size_t bytes) {
    void* part = next_;
    next_ += aligned(bytes);
    return part;
  }

 private:
  char* next_;
};

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
  const void* from = w;
  if (plan.padded_bytes > 0) {
    void* padded = scratch.take(plan.padded_bytes);
    pad_weights(plan, s, static_cast<const float*>(w), static_cast<float*>(padded));
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
  const void* plain = packed;
  if (plan.pack) {
    void* to = plan.padded_bytes > 0 ? scratch.take(plan.padded_bytes) : w;
    plan.pack.set(DNNL_ARG_FROM, packed);
    plan.pack.set(DNNL_ARG_TO, to);
    plan.pack.run();
    plain = to;
  }
  if (plan.padded_bytes > 0) {
    strip_weights(plan, s, static_cast<const float*>(plain), static_cast<float*>(w));
  }
}

// Only straddling groups (Geometry::plain) pay for these copies.
const void* to_plain(Context& ctx, const Plan& plan, const Shape& shape, Layout layout,
                     const void* x, Scratch& scratch) {
  if (!plan.g.plain || layout == Layout::plain) return x;
  void* copy = scratch.take(plain_bytes(shape));
  reorder_cpu.apply(ctx, {.shape = shape, .from = layout, .to = Layout::plain}, x, copy);
  return copy;
}

void from_plain(Context& ctx, const Shape& shape, Layout layout, const void* plain, void* y) {
  if (plain == y) return;
  reorder_cpu.apply(ctx, {.shape = shape, .from = Layout::plain, .to = layout}, plain, y);
}

std::size_t staging(const Plan& plan, const Conv2dSpec& s) {
  return plan.g.plain ? aligned(plain_bytes(s.in_shape())) + aligned(plain_bytes(s.out_shape()))
                      : 0;
}

Scratch scratch_for(Context& ctx, const Plan& plan, const Conv2dSpec& s) {
  return {ctx, {plan.packed_bytes, plan.padded_bytes, plan.scratchpad_bytes, staging(plan, s)}};
}

void execute_forward(Context& ctx, Plan& plan, const Conv2dSpec& s, const void* x,
                     const void* packed, const void* bias, void* y, Scratch& scratch) {
  const bool staged = plan.g.plain && plan.g.out != Layout::plain;
  const void* src = to_plain(ctx, plan, s.in_shape(), plan.g.in, x, scratch);
  void* dst = staged ? scratch.take(plain_bytes(s.out_shape())) : y;
  if (staged && (s.epilogue == Epilogue::add || s.epilogue == Epilogue::add_relu)) {
    reorder_cpu.apply(ctx, {.shape = s.out_shape(), .from = plan.g.out, .to = Layout::plain}, y,
                      dst);
  }
  plan.conv.set(DNNL_ARG_SRC, src);
  plan.conv.set(DNNL_ARG_WEIGHTS, packed);
  if (s.bias) plan.conv.set(DNNL_ARG_BIAS, bias);
  plan.conv.set(DNNL_ARG_DST, dst);
  plan.conv.set(DNNL_ARG_SCRATCHPAD, scratch.take(plan.scratchpad_bytes));
  plan.conv.run();
  from_plain(ctx, s.out_shape(), plan.g.out, dst, y);
}

void forward(Context& ctx, const Conv2dSpec& spec, const void* x, const void* w, const void* bias,
             void* y) {
  Conv2dSpec s = spec;
  s.pass = Pass::forward;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan, s);
  void* packed = scratch.take(plan.packed_bytes);
  pack_weights(plan, s, w, packed, scratch);
  execute_forward(ctx, plan, s, x, packed, bias, y, scratch);
}

void backward_data(Context& ctx, const Conv2dSpec& spec, const void* dy, const void* w, void* dx) {
  Conv2dSpec s = spec;
  s.pass = Pass::backward_data;
  s.bias = false;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan, s);
  void* packed = scratch.take(plan.packed_bytes);
  pack_weights(plan, s, w, packed, scratch);
  const bool staged = plan.g.plain && plan.g.in != Layout::plain;
  const void* dst = to_plain(ctx, plan, s.out_shape(), plan.g.out, dy, scratch);
  void* src = staged ? scratch.take(plain_bytes(s.in_shape())) : dx;
  plan.conv.set(DNNL_ARG_DIFF_DST, dst);
  plan.conv.set(DNNL_ARG_WEIGHTS, packed);
  plan.conv.set(DNNL_ARG_DIFF_SRC, src);
  plan.conv.set(DNNL_ARG_SCRATCHPAD, scratch.take(plan.scratchpad_bytes));
  plan.conv.run();
  from_plain(ctx, s.in_shape(), plan.g.in, src, dx);
}

void backward_weights(Context& ctx, const Conv2dSpec& spec, const void* x, const void* dy, void* dw,
                      void* db) {
  Conv2dSpec s = spec;
  s.pass = Pass::backward_weights;
  s.bias = db != nullptr;
  Plan& plan = plan_for(ctx, s);
  Scratch scratch = scratch_for(ctx, plan, s);
  const bool direct = !plan.pack && plan.padded_bytes == 0;
  void* packed = direct ? dw : scratch.take(plan.packed_bytes);
  plan.conv.set(DNNL_ARG_SRC, to_plain(ctx, plan, s.in_shape(), plan.g.in, x, scratch));
  plan.conv.set(DNNL_ARG_DIFF_DST, to_plain(ctx, plan, s.out_shape(), plan.g.out, dy, scratch));
  plan.conv.set(DNNL_ARG_DIFF_WEIGHTS, packed);
  if (db) plan.conv.set(DNNL_ARG_DIFF_BIAS, db);
  plan.conv.set(DNNL_ARG_SCRATCHPAD, scratch.take(plan.scratchpad_bytes));
  plan.conv.run();
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
    std::memcpy(y, residual, storage_elements(plan.g.out, s.out_shape()) * size_of(s.dtype));
  }
  Scratch scratch(ctx, {plan.scratchpad_bytes, staging(plan, s)});
  execute_forward(ctx, plan, s, x, packed, bias, y, scratch);
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
