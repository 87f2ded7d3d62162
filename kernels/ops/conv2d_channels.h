#pragma once
// Convolutions of images for tensor cores, whose engines take 16-bit channels in eights: the three
// (or one) of an image are padded to eight with zeros, which change no sum. cuDNN would leave the
// tensor cores alone, or pad in a workspace of its own at any pass.

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/ops/conv2d.h"

namespace hac {

inline constexpr std::int64_t wide_channels = 8;

// 16-bit, not grouped, of fewer than eight channels, and more than a pixel: squeeze-and-excitation
// is no work for tensor cores.
bool pads_channels(const Conv2dSpec&);
// The spec that is computed: the same one, or of eight channels.
Conv2dSpec with_padded_channels(const Conv2dSpec&);

// 16-bit rows, of `channels` elements on one side and eight on the other.
struct ChannelRows {
  const void* from = nullptr;
  void* to = nullptr;
  std::int64_t rows = 0;
};

struct ChannelPadKernels {
  // to[r, j] = j < channels ? from[r, j] : 0, of both in one launch; the second may have no rows.
  void (*widen)(Context&, std::int64_t channels, const ChannelRows& first,
                const ChannelRows& second);
  // to[r, j] = from[r, j], j < channels
  void (*narrow)(Context&, std::int64_t channels, const ChannelRows& rows);
};

HAC_BACKENDS(ChannelPadKernels, channel_pad)

// Calls run(with_padded_channels(s), x, w, workspace) with the operands of this pass in that form:
// what it reads is widened before, what it writes narrowed behind. The packed weights of inference
// are of that form already (packed::pack). All that lies in scratch memory.
template <class Run>
void in_padded_channels(Context& ctx, const Conv2dSpec& s, Pass pass, const void* x, const void* w,
                        std::size_t workspace_bytes, Run run) {
  if (!pads_channels(s)) {
    Scratch scratch(ctx, {workspace_bytes});
    run(s, x, w, scratch.take(workspace_bytes));
    return;
  }
  const ChannelPadKernels& kernels = channel_pad_kernels.of(ctx.device());
  const std::int64_t pixels = s.n * s.h * s.w, taps = pass == Pass::inference ? 0 : s.k * s.r * s.s;
  const auto bytes = [&](std::int64_t rows) {
    return static_cast<std::size_t>(rows * wide_channels) * size_of(s.dtype);
  };
  Scratch scratch(ctx, {bytes(pixels), bytes(taps), workspace_bytes});
  void* const wide_x = scratch.take(bytes(pixels));
  void* const wide_w = scratch.take(bytes(taps));
  const ChannelRows in_x{x, wide_x, pixels}, in_w{w, wide_w, taps};
  const bool makes_x = pass == Pass::backward_data, makes_w = pass == Pass::backward_weights;
  if (makes_x) {
    kernels.widen(ctx, s.c, in_w, {});
  } else {
    kernels.widen(ctx, s.c, in_x, makes_w ? ChannelRows{} : in_w);
  }
  run(with_padded_channels(s), wide_x, taps > 0 ? wide_w : w, scratch.take(workspace_bytes));
  if (makes_x) kernels.narrow(ctx, s.c, {wide_x, const_cast<void*>(x), pixels});
  if (makes_w) kernels.narrow(ctx, s.c, {wide_w, const_cast<void*>(w), taps});
}

}  // namespace hac
