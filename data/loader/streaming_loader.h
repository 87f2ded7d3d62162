#pragma once
// Batches for a device whose memory does not hold the set: loader threads read and decode, and what
// is left to do with an image travels there as bytes, while the step before is computed, and is
// done there.

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "data/loader/device_transform.h"
#include "data/loader/loader.h"
#include "data/loader/staging.h"
#include "kernels/core/context.h"

namespace hac {

// The batches of Loader, on a device other than the CPU: the same images with the same random
// numbers, values equal but for rounding (kernels/ops/augment.h), in the configuration's type and
// layout. Decoding, crops of files, and transforms that look beyond a pixel (rotation, shear,
// sharpness, equalize and the like) are the threads' work; resize, window, mirror, colour jitter,
// erasing and normalising the device's (data/loader/staging.h).
//
// A batch is staged in pinned memory, a part by each thread, and uploaded by a context of its own,
// a stream on a GPU, into one half of the device's buffer while kernels read the other.
class StreamingLoader final : public BatchSource {
 public:
  // Throws OutOfMemory for both memories, which are taken here and do not grow.
  StreamingLoader(DatasetPtr dataset, const LoaderConfig& config, Device device);
  ~StreamingLoader() override;
  // Rethrows what a loader thread threw.
  bool choose() override;
  Batch make() override;
  bool capturable() const override { return true; }
  void* position() const override { return position_.data(); }
  std::int64_t position_of(std::int64_t batch) const override;
  void place(std::int64_t batch) const override { position_.set(position_of(batch)); }

 private:
  struct Slot {
    std::shared_ptr<void> pinned;
    std::vector<StagedBatch::Range> parts;  // of each thread
  };

  std::int64_t most_images() const { return std::max<std::int64_t>(1, images_of(0)); }
  void begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) override;
  void stage(const Prefetcher::Work& work);
  void upload(std::size_t slot);
  void finish_uploads();

  const Device device_;
  const Pipeline pipeline_;
  DeviceTransform transform_;
  const std::int64_t most_bytes_;  // of a batch
  Tensor staged_;                  // two of them
  Tensor squares_, erased_;        // of the batch that make() makes
  DevicePosition position_;
  Context copies_;
  std::array<Event, 2> uploaded_;              // of each half
  std::int64_t next_ = 0, next_uploaded_ = 0;  // batches of the epoch
  Range own_;                                  // of the chosen batch
  std::vector<Slot> slots_;
  Prefetcher prefetcher_;  // last: its threads use the others
};

}  // namespace hac
