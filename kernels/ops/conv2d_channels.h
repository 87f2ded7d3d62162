#pragma once
// Convolutions of images for tensor cores, whose engines take 16-bit channels in eights: the three
// (or one) of an image are padded to eight with zeros, which change no sum. cuDNN would leave the
// tensor cores alone, or pad in a workspace of its own at any pass. Loaders and reorder write
// images so; weights and gradients are padded around each product.

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
// Of what its passes read: blocked8, rows of eight channels, where a GPU pads them, else that of
// activations. The gradient dx has that of activations always.
Layout input_layout(Device, const Conv2dSpec&);

// 16-bit rows, of `channels` elements on one side and eight on the other.
struct ChannelRows {
  const void* from = nullptr;
  void* to = nullptr;
  std::int64_t rows = 0;
};

struct ChannelPadKernels {
  // to[r, j] = j < channels ? from[r, j] : 0
  void (*widen)(Context&, std::int64_t channels, const ChannelRows& rows);
  // to[r, j] = from[r, j], j < channels
  void (*narrow)(Context&, std::int64_t channels, const ChannelRows& rows);
};

HAC_BACKENDS(ChannelPadKernels, channel_pad)

// Calls run(with_padded_channels(s), x, w, workspace) with the operands of this pass in that form.
// x is an input in input_layout() or where dx goes, w weights or where dw goes: weights are widened
// before (those of inference are of that form already, packed::pack), gradients narrowed behind.
// All that lies in scratch memory.
template <class Run>
void in_padded_channels(Context& ctx, const Conv2dSpec& s, Pass pass, const void* x, const void* w,
                        std::size_t workspace_bytes, Run run) {
  const bool pads = pads_channels(s), makes_x = pass == Pass::backward_data,
             makes_w = pass == Pass::backward_weights;
  const std::int64_t pixels = pads && makes_x ? s.n * s.h * s.w : 0,
                     taps = pads && pass != Pass::inference ? s.k * s.r * s.s : 0;
  const auto bytes = [&](std::int64_t rows) {
    return static_cast<std::size_t>(rows * wide_channels) * size_of(s.dtype);
  };
  const ChannelPadKernels& kernels = channel_pad_kernels.of(ctx.device());
  Scratch scratch(ctx, {bytes(pixels), bytes(taps), workspace_bytes});
  void* const wide_x = scratch.take(bytes(pixels));
  void* const wide_w = scratch.take(bytes(taps));
  if (taps > 0 && !makes_w) kernels.widen(ctx, s.c, {w, wide_w, taps});
  run(with_padded_channels(s), pixels > 0 ? wide_x : x, taps > 0 ? wide_w : w,
      scratch.take(workspace_bytes));
  if (pixels > 0) kernels.narrow(ctx, s.c, {wide_x, const_cast<void*>(x), pixels});
  if (taps > 0 && makes_w) kernels.narrow(ctx, s.c, {wide_w, const_cast<void*>(w), taps});
}

}  // namespace hac
