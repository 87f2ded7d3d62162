#pragma once
// Batches in a reproducible order, decoded, augmented, resized and normalised ahead of time on the
// loader's own threads. Order and augmentation are functions of (seed, epoch) and of the position
// alone, so a run can resume in the middle of an epoch.

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "data/image/transforms.h"
#include "data/loader/input_transform.h"
#include "data/loader/prefetcher.h"
#include "data/sets/dataset.h"
#include "engine/tensor/tensor.h"

namespace hac {

struct Batch {
  Tensor images;  // (N, C, R, R), normalised; plain f32 where the CPU makes it
  Tensor labels;  // (N) i32
  std::int64_t size() const { return labels.numel(); }
};

struct LoaderConfig {
  std::int64_t batch = 128;
  std::int64_t resolution = 0;  // output size; 0 = the set's native one
  bool shuffle = true;
  // What the set's preprocessing becomes: the square that is then normalised and resized.
  std::function<Pipeline(const Preprocessing&)> pipeline = standard_augmentation;
  bool drop_last = false;
  std::uint64_t seed = 0;
  int threads = 1;
  int prefetch = 3;  // batches held ready
  // Of images that a device makes: the type and layout (nhwc or blocked8) that a network reads as
  // they are.
  Dtype dtype = Dtype::f32;
  Layout layout = Layout::nhwc;
  // Only the images of the parts that a rank computes (batch_shard.h); all of a batch that has none
  // for it.
  std::int64_t parts = 1;
  int rank = 0, ranks = 1;
};

// Where batches come from: Loader, or with the same values ResidentLoader and StreamingLoader.
class BatchSource {
 public:
  // Throws ConfigError naming the field.
  BatchSource(DatasetPtr dataset, const LoaderConfig& config);
  virtual ~BatchSource() = default;
  BatchSource(const BatchSource&) = delete;
  BatchSource& operator=(const BatchSource&) = delete;

  std::int64_t batches() const;  // an epoch
  // Starts an epoch at batch `first`.
  void start(std::int64_t epoch, std::int64_t first = 0);
  // The next batch; false at the end of the epoch.
  bool next(Batch& batch);
  // Its two halves: the host's choice of the batch, and the batch itself, once.
  bool advance();
  virtual Batch make() = 0;
  // advance() without place(): where make() finds the batch, for whoever writes that himself.
  virtual bool choose() = 0;
  // Images of the chosen batch, those of other ranks too.
  std::int64_t size() const { return size_; }
  // True where make() is work of the device alone, the same for each batch of a size, and so can be
  // captured (engine/device/capture.h).
  virtual bool capturable() const { return false; }
  // Where such a make() reads, in the device's memory, which batch is meant: i64; else null. What
  // must stand there for a batch of the epoch, and the host's way to write it.
  virtual void* position() const { return nullptr; }
  virtual std::int64_t position_of(std::int64_t) const { return 0; }
  virtual void place(std::int64_t) const {}
  std::int64_t images_of(std::int64_t batch) const;  // of an epoch

 protected:
  // Image order[i] is at position i of the epoch.
  virtual void begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) = 0;
  // Of a batch's images, [begin, begin + n) are made.
  struct Range {
    std::int64_t begin = 0, n = 0;
  };
  Range own_of(std::int64_t batch) const;

  const DatasetPtr dataset_;
  const LoaderConfig config_;
  std::int64_t size_ = 0, chosen_ = 0;  // of the chosen batch: images, number in the epoch
};

class Loader final : public BatchSource {
 public:
  Loader(DatasetPtr dataset, const LoaderConfig& config);
  // Rethrows what a loader thread threw.
  bool choose() override;
  Batch make() override { return std::move(batch_); }

 private:
  void begin(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first) override;
  Batch made(const Prefetcher::Work& work) const;

  const Pipeline pipeline_;
  const InputTransform transform_;
  std::int64_t next_ = 0;  // batch of the epoch
  Batch batch_;
  std::vector<Batch> slots_;
  Prefetcher prefetcher_;  // last: its threads use the others
};

// The order of an epoch: a permutation of [0, n), a function of (seed, epoch) alone.
std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch);

}  // namespace hac
