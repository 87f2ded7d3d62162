#pragma once
// A data set that lies in a device's memory as bytes, prepared as far as no random number is
// needed. Each batch is made there: only the order of an epoch and its shifts are copied to the
// device, once an epoch.

#include "data/loader/input_transform.h"
#include "data/loader/loader.h"

namespace hac {

// The batches of Loader, on a device other than the CPU: the same images at the same positions with
// the same augmentation, values equal but for rounding, in the device's own layout. threads and
// prefetch of the configuration mean nothing here.
class ResidentLoader final : public BatchSource {
 public:
  // Reads and copies the whole set. Throws what Dataset::get() and View throw, OutOfMemory, and
  // ConfigError for a pipeline with another random transform than is_shift().
  ResidentLoader(DatasetPtr dataset, const LoaderConfig& config, Device device);
  bool advance() override;
  Batch make() override;
  bool capturable() const override { return true; }

 private:
  void begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) override;
  void upload();
  Tensor shifts_of(std::int64_t epoch) const;  // on the host

  Device device_;
  Pipeline fixed_, shifting_;
  InputTransform transform_;
  Tensor pixels_, labels_;               // (images, C, H, W) u8 and (images) i32
  Tensor resize_start_, resize_weight_;  // undefined where nothing is resized
  Tensor order_;                         // (images) i32, of the epoch
  Tensor shifts_;                        // an Augmentation each place of it, as bytes, or undefined
  Tensor position_;                      // a BatchPosition, as bytes
  std::int64_t epoch_ = -1, taken_ = 0;
};

// A ResidentLoader where the device is not the CPU, can do what is random, and the set takes at
// most 2 GiB and a quarter of the device's memory limit, and there is that much, else a Loader.
std::unique_ptr<BatchSource> make_loader(DatasetPtr dataset, const LoaderConfig& config,
                                         Device device);

}  // namespace hac
