#pragma once
// A data set that lies in a device's memory as bytes, prepared as far as no random number is
// needed. Each batch is made there: only the order of an epoch and its shifts are copied to the
// device, once an epoch.

#include "data/loader/device_transform.h"
#include "data/loader/loader.h"

namespace hac {

// Whether nothing of the pipeline is random but is_shift().
bool can_reside(const Pipeline& pipeline);

// The batches of Loader, on a device other than the CPU: the same images at the same positions with
// the same augmentation, values equal but for rounding, in the configuration's type and layout.
// threads and prefetch of the configuration mean nothing here.
class ResidentLoader final : public BatchSource {
 public:
  // Reads and copies the whole set. Throws what Dataset::get() and View throw, OutOfMemory, and
  // ConfigError unless can_reside().
  ResidentLoader(DatasetPtr dataset, const LoaderConfig& config, Device device);
  bool choose() override;
  Batch make() override;
  bool capturable() const override { return true; }
  void* position() const override { return position_.data(); }
  std::int64_t position_of(std::int64_t batch) const override;
  void place(std::int64_t batch) const override { position_.set(position_of(batch)); }

 private:
  void begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) override;
  void upload();
  Tensor shifts_of(std::int64_t epoch) const;  // on the host

  Device device_;
  Pipeline fixed_, shifting_;
  DeviceTransform transform_;
  Tensor pixels_, labels_;  // (images, C, H, W) u8 and (images) i32
  Tensor order_;            // (images) i32, of the epoch
  Tensor shifts_;           // an Augmentation each place of it, as bytes, or undefined
  DevicePosition position_;
  std::int64_t epoch_ = -1, taken_ = 0;
  Range own_;  // of the chosen batch
};

}  // namespace hac
