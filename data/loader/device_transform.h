#pragma once
// InputTransform on a device, of squares of bytes that lie there (kernels/ops/augment.h).

#include "data/loader/input_transform.h"
#include "data/loader/loader.h"
#include "engine/tensor/tensor.h"
#include "kernels/ops/augment.h"

namespace hac {

// A BatchPosition in the device's memory.
class DevicePosition {
 public:
  explicit DevicePosition(Device device);
  void set(std::int64_t first) const;
  void* data() const { return bytes_.data(); }

 private:
  Tensor bytes_;
};

class DeviceTransform {
 public:
  // Throws as InputTransform does, OutOfMemory, and ConfigError for another layout than nhwc and
  // blocked8.
  DeviceTransform(const Preprocessing& preprocessing, const LoaderConfig& config, Device device);
  AugmentSpec spec(std::int64_t images) const;
  // (images, channels, resolution, resolution) of the configuration's type and layout.
  Tensor operator()(std::int64_t images, const ImageSource& from) const;

 private:
  Device device_;
  std::int64_t channels_, native_;
  Dtype dtype_;
  Layout layout_;
  InputTransform transform_;
  Tensor start_, weight_;  // of a resize; undefined where there is none
};

}  // namespace hac
