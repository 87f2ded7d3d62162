#include "kernels/ops/conv2d.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"
#include "kernels/core/spec_text.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/ops/elementwise.h"

namespace hac {

Cost Conv2dSpec::cost() const {
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t out = out_shape().numel();
  const std::int64_t weights = weight_shape().numel();
  Cost cost;
  cost.params = weights + (bias ? k : 0);
  cost.macs = out * (c / groups) * r * s;
  cost.ops_thop = cost.macs + (bias ? out : 0);
  cost.weight_bytes = bytes * cost.params;
  cost.activation_bytes = bytes * (in_shape().numel() + out + (add ? out : 0));
  return cost;
}

namespace {

// Of one axis: products of all outputs with a tap that lies inside the input.
std::int64_t taps_inside(std::int64_t in, std::int64_t out, std::int64_t kernel,
                         const Conv2dSpec& s) {
  std::int64_t taps = 0;
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t first = o * s.stride - s.pad;
    taps +=
        std::max<std::int64_t>(0, std::min(in, first + kernel) - std::max<std::int64_t>(0, first));
  }
  return taps;
}

constexpr auto visit = [](auto& s, auto& text) {
  static constexpr std::string_view passes[] = {"forward", "inference", "backward_data",
                                                "backward_weights"};
  text.kind("conv2d");
  text.dtype(s.dtype);
  visit_image(s, text);
  text.width(",k", s.k);
  text.field("r", s.r);
  text.field("s", s.s);
  text.field(",st", s.stride);
  text.field("p", s.pad, 0);
  text.width("g", s.groups);
  text.flag(",bias", s.bias);
  text.flag(",add", s.add);
  text.choice(activation_names, s.activation);
  text.choice(passes, s.pass);
};

}  // namespace

std::string Conv2dSpec::str() const { return write_spec(*this, visit); }

bool Conv2dSpec::parse(std::string_view text) { return read_spec(*this, text, visit); }

Conv2dSpec Conv2dSpec::with(Widths widths) const {
  Conv2dSpec spec = *this;
  if (depthwise()) spec.groups = widths.in;
  spec.c = widths.in;
  spec.k = widths.out;
  return spec;
}

std::int64_t Conv2dSpec::macs_inside() const {
  return n * k * (c / groups) * taps_inside(h, oh(), r, *this) * taps_inside(w, ow(), s, *this);
}

void Conv2dSpec::validate() const {
  const auto fail = [this](const char* expected, const std::string& got) {
    throw ShapeError(fmt::format("conv2d '{}': expected {}, got {}", str(), expected, got));
  };
  if (n < 1 || c < 1 || h < 1 || w < 1) fail("a non-empty input", in_shape().str());
  if (k < 1 || r < 1 || s < 1)
    fail("output channels and kernel >= 1", fmt::format("k{}r{}s{}", k, r, s));
  if (stride < 1) fail("stride >= 1", fmt::format("{}", stride));
  if (pad < 0) fail("pad >= 0", fmt::format("{}", pad));
  if (groups < 1 || c % groups != 0 || k % groups != 0) {
    fail("groups that divide input and output channels",
         fmt::format("{} groups for {} and {} channels", groups, c, k));
  }
  if (h + 2 * pad < r || w + 2 * pad < s) {
    fail("a kernel no larger than the padded input",
         fmt::format("{}x{} on {}x{}", r, s, h + 2 * pad, w + 2 * pad));
  }
}

namespace {

// n parameters in the activations' type.
void copy_rounded(Context& ctx, Dtype to, std::int64_t n, const void* from, void* out) {
  if (to == Dtype::f32) return ctx.runtime().copy(ctx, out, from, n * sizeof(float));
  cast_kernels.of(ctx.device()).apply(ctx, {.to = to, .elements = n}, from, out);
}

}  // namespace

std::size_t packed::bias_at(const Conv2dSpec& s) {
  return round_up(
      with_padded_channels(s).weight_shape().numel() * static_cast<std::int64_t>(size_of(s.dtype)),
      64);
}

std::size_t packed::bytes(Context&, const Conv2dSpec& s) {
  return bias_at(s) + (s.fuses() ? s.k * size_of(s.dtype) : 0);
}

void packed::pack(Context& ctx, const Conv2dSpec& s, const void* w, const void* bias, void* out) {
  void* behind = as<char>(out) + bias_at(s);
  const std::int64_t weights = s.weight_shape().numel();
  if (pads_channels(s)) {
    void* rounded = ctx.scratch(weights * size_of(s.dtype));
    copy_rounded(ctx, s.dtype, weights, w, rounded);
    const ChannelRows rows{rounded, out, s.k * s.r * s.s};
    channel_pad_kernels.of(ctx.device()).widen(ctx, s.c, rows);
  } else {
    copy_rounded(ctx, s.dtype, weights, w, out);
  }
  if (s.bias) return copy_rounded(ctx, s.dtype, s.k, bias, behind);
  if (s.fuses()) ctx.runtime().zero(ctx, behind, s.k * size_of(s.dtype));
}

}  // namespace hac
