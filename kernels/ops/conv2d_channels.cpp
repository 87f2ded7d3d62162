#include "kernels/ops/conv2d_channels.h"

namespace hac {

const ChannelPadKernels channel_pad_cpu{};  // its own convolutions take any number of channels

bool pads_channels(const Conv2dSpec& s) {
  return size_of(s.dtype) == 2 && s.groups == 1 && s.c < wide_channels && s.h * s.w > 1;
}

Conv2dSpec with_padded_channels(const Conv2dSpec& s) {
  Conv2dSpec padded = s;
  if (pads_channels(s)) padded.c = wide_channels;
  return padded;
}

Layout input_layout(Device device, const Conv2dSpec& s) {
  const bool pads = device.kind != DeviceKind::cpu && pads_channels(s);
  return pads ? Layout::blocked8 : layout_of(device, s.in_shape());
}

}  // namespace hac
