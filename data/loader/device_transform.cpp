#include "data/loader/device_transform.h"

#include <fmt/format.h>

#include <cstring>

#include "kernels/core/error.h"

namespace hac {

DevicePosition::DevicePosition(Device device)
    : bytes_(Tensor::empty({sizeof(BatchPosition)}, Dtype::u8, device)) {}

void DevicePosition::set(std::int64_t first) const {
  const BatchPosition position{.first = first};
  const Tensor host = Tensor::empty(bytes_.shape(), Dtype::u8);
  std::memcpy(host.data(), &position, sizeof position);
  bytes_.copy_from(host);
}

DeviceTransform::DeviceTransform(const Preprocessing& p, const LoaderConfig& config, Device device)
    : device_(device),
      channels_(p.channels),
      native_(p.resolution),
      dtype_(config.dtype),
      layout_(config.layout),
      transform_(p, config.resolution == 0 ? p.resolution : config.resolution) {
  if (layout_ != Layout::nhwc && layout_ != Layout::blocked8) {
    throw ConfigError(fmt::format(
        "loader: expected the layout nhwc or blocked8 of a device, got {}", name_of(layout_)));
  }
  const ResizeAxis& axis = transform_.axis();
  if (axis.taps == 0) return;
  start_ = Tensor::from(axis.start, {axis.count}).to(device);
  weight_ = Tensor::from(axis.weight, {axis.taps, axis.count}).to(device);
}

AugmentSpec DeviceTransform::spec(std::int64_t images) const {
  return {.dtype = dtype_,
          .n = images,
          .channels = channels_,
          .native = native_,
          .resolution = transform_.resolution(),
          .scale = transform_.scale(),
          .shift = transform_.shift(),
          .stored = layout_ == Layout::nhwc ? 0 : padded_channels(layout_, channels_)};
}

Tensor DeviceTransform::operator()(std::int64_t images, const ImageSource& from) const {
  const AugmentSpec s = spec(images);
  ResizeTable table;
  if (start_.defined()) table = {start_.data(), weight_.data(), transform_.axis().taps};
  Tensor out =
      Tensor::empty({images, channels_, s.resolution, s.resolution}, s.dtype, device_, layout_);
  augment_kernels.run(&AugmentKernels::images, device_, s, from, table, out.data());
  return out;
}

}  // namespace hac
