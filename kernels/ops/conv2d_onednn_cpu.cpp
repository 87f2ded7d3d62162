// Direct convolution by oneDNN, which chooses the format of the weights.

#include <cstring>

#include "kernels/cpu/onednn.h"
#include "kernels/ops/conv2d_cpu.h"

namespace hac::cpu {
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
  g.weights_plain = Desc(w, cpu::data_type(weight_dtype(s)), w_tag);
  const auto bias = s.pass == Pass::forward ? type : memory::data_type::f32;
  if (s.bias) g.bias = Desc({k}, bias, memory::format_tag::x);
  g.strides = {s.stride, s.stride};
  g.pad = {s.pad, s.pad};
  return g;
}

dnnl::primitive make_primitive(cpu::Library& lib, const Conv2dSpec& s, const Geometry& g) {
  using F = dnnl::convolution_forward;
  using D = dnnl::convolution_backward_data;
  using W = dnnl::convolution_backward_weights;
  const auto kind = s.pass == Pass::inference ? dnnl::prop_kind::forward_inference
                                              : dnnl::prop_kind::forward_training;
  const auto how = dnnl::algorithm::convolution_direct;
  const dnnl::engine& engine = onednn_of(lib).engine;
  const auto forward = primitive_desc<F>(engine, fused_behind(s.add, s.activation), kind, how,
                                         g.src, g.weights, g.bias, g.dst, g.strides, g.pad, g.pad);
  const auto attr = user_scratchpad();
  if (s.pass == Pass::backward_data) {
    return D(backward_desc<D>(engine, attr, forward, how, g.src, g.weights, g.dst, g.strides, g.pad,
                              g.pad));
  }
  if (s.pass == Pass::backward_weights) {
    return W(backward_desc<W>(engine, attr, forward, how, g.src, g.weights, g.bias, g.dst,
                              g.strides, g.pad, g.pad));
  }
  return F(forward);
}

// The weights with the channels that blocks add, all of those zero; `each` bytes a weight.
void pad_weights(const Shape& padded_shape, const Conv2dSpec& s, std::size_t each, const void* w,
                 void* padded) {
  const std::int64_t run = s.c / s.groups * s.r * s.s * each;
  const std::int64_t padded_run = padded_shape[1] * s.r * s.s * each;
  for (std::int64_t k = 0; k < s.k; ++k) {
    char* to = as<char>(padded) + k * padded_run;
    std::memcpy(to, as<char>(w) + k * run, run);
    std::memset(to + run, 0, padded_run - run);
  }
  std::memset(as<char>(padded) + s.k * padded_run, 0, (padded_shape[0] - s.k) * padded_run);
}

void strip_weights(const Shape& padded_shape, const Conv2dSpec& s, std::size_t each,
                   const void* padded, void* w) {
  const std::int64_t run = s.c / s.groups * s.r * s.s * each;
  const std::int64_t padded_run = padded_shape[1] * s.r * s.s * each;
  for (std::int64_t k = 0; k < s.k; ++k) {
    std::memcpy(as<char>(w) + k * run, as<char>(padded) + k * padded_run, run);
  }
}

class OneDnnPlan final : public ConvPlan {
 public:
  OneDnnPlan(Library& library, const Conv2dSpec& s) : OneDnnPlan(library, s, geometry(s)) {}

  void pack(const void* w, void* packed, void* scratch) override {
    if (padded_bytes_ > 0) pad_weights(w_shape_, spec, each_, w, scratch);
    const void* const plain = padded_bytes_ > 0 ? scratch : w;
    if (reorder_) return reorder_.run({{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, packed}});
    std::memcpy(packed, plain, packed_bytes);
  }

  void convolve(const void* x, const void* packed, const void* bias, void* y,
                void* scratch) override {
    const bool back = spec.pass == Pass::backward_data;
    conv_.run({{back ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, x},
               {DNNL_ARG_WEIGHTS, packed},
               {DNNL_ARG_BIAS, bias},
               {back ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, y},
               {DNNL_ARG_SCRATCHPAD, as<char>(scratch) + padded_bytes_}});
  }

  void gradient(const void* x, const void* dy, void* packed, void* dw, float* db,
                void* scratch) override {
    if (!reorder_ && padded_bytes_ == 0) packed = dw;
    conv_.run({{DNNL_ARG_SRC, x},
               {DNNL_ARG_DIFF_DST, dy},
               {DNNL_ARG_DIFF_WEIGHTS, packed},
               {DNNL_ARG_DIFF_BIAS, db},
               {DNNL_ARG_SCRATCHPAD, as<char>(scratch) + padded_bytes_}});
    void* plain = packed;
    if (reorder_) {
      plain = padded_bytes_ > 0 ? scratch : dw;
      reorder_.run({{DNNL_ARG_FROM, packed}, {DNNL_ARG_TO, plain}});
    }
    if (padded_bytes_ > 0) strip_weights(w_shape_, spec, each_, plain, dw);
  }

 private:
  OneDnnPlan(Library& library, const Conv2dSpec& s, const Geometry& g)
      : ConvPlan(s),
        conv_(library, make_primitive(library, s, g)),
        w_shape_(g.w_shape),
        each_(size_of(weight_dtype(s))) {
    const bool gradient = s.pass == Pass::backward_weights;
    const Desc weights = conv_.desc(gradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS);
    if (weights != g.weights_plain) {
      const Desc from = gradient ? weights : g.weights_plain;
      const Desc to = gradient ? g.weights_plain : weights;
      const dnnl::engine& engine = onednn_of(library).engine;
      reorder_ = {library, dnnl::reorder({engine, from, engine, to})};
    }
    if (w_shape_ != s.weight_shape()) {
      padded_bytes_ = round_up(w_shape_.numel() * each_, 64);
    }
    packed_bytes = weights.get_size();
    scratch_bytes = padded_bytes_ + conv_.scratchpad_bytes();
    implementation = {conv_.implementation(), s.macs_inside()};
  }

  Primitive conv_;
  Primitive reorder_;             // plain padded weights <-> the primitive's; unset if they agree
  Shape w_shape_;                 // of the padded weights
  std::size_t each_ = 0;          // bytes of a plain weight
  std::size_t padded_bytes_ = 0;  // 0 where nothing is padded
};

}  // namespace

std::unique_ptr<ConvPlan> onednn_plan(Library& library, const Conv2dSpec& s) {
  if (!has_geometry(s)) return nullptr;
  auto plan = std::make_unique<OneDnnPlan>(library, s);
  if (!is_blocked_code(plan->implementation.name)) return nullptr;
  return plan;
}

}  // namespace hac::cpu
