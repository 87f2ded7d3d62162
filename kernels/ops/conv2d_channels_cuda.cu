// A row a thread: 16 bytes on the side of eight channels.

#include "kernels/device/packed.cuh"
#include "kernels/ops/conv2d_channels.h"

namespace hac {
namespace {

using namespace HAC_GPU;

using Element = std::uint16_t;  // bf16 or f16: none is computed with
constexpr int wide = wide_channels;

__global__ void widen_kernel(std::int64_t channels, ChannelRows r) {
  wait_for_previous();
  const std::int64_t row = own_element();
  if (row >= r.rows) return;
  const Element* from = as<Element>(r.from) + row * channels;
  Packed<Element, wide> out;
  HAC_UNROLL
  for (int j = 0; j < wide; ++j) out.v[j] = j < channels ? load(from + j) : Element{0};
  store(as<Packed<Element, wide>>(r.to) + row, out);
}

__global__ void narrow_kernel(std::int64_t channels, ChannelRows r) {
  wait_for_previous();
  const std::int64_t row = own_element();
  if (row >= r.rows) return;
  const Packed<Element, wide> in = load(as<Packed<Element, wide>>(r.from) + row);
  Element* to = as<Element>(r.to) + row * channels;
  HAC_UNROLL
  for (int j = 0; j < wide; ++j) {
    if (j < channels) store(to + j, in.v[j]);
  }
}

void widen(Context& ctx, std::int64_t channels, const ChannelRows& rows) {
  launch(ctx, launch_over("widen_channels", rows.rows), widen_kernel, channels, rows);
}

void narrow(Context& ctx, std::int64_t channels, const ChannelRows& rows) {
  launch(ctx, launch_over("narrow_channels", rows.rows), narrow_kernel, channels, rows);
}

}  // namespace

const ChannelPadKernels HAC_GPU_TABLE(channel_pad){.widen = widen, .narrow = narrow};

}  // namespace hac
