#pragma once
// A batch, and the parts that it is computed in: where memory does not hold all of it (gradient
// accumulation), or on several ranks, each of which computes some (data parallel). Forward and
// backward run a part at a time; each part's loss is divided by the images of the whole batch, so
// losses and gradients add up to the batch's. The update is one. Only batch norm tells: it
// normalises over the part, and its running statistics move once a part (part_statistics.h).

#include <cstdint>
#include <vector>

#include "data/loader/batch_shard.h"
#include "engine/tensor/tensor.h"

namespace hac {

// images (N, C, R, R); labels (N) i32; target: the labels, or soft (N, classes) f32.
struct StepBatch {
  Tensor images, labels, target;
  std::int64_t size() const { return labels.numel(); }
};

// The shard's images, of a batch that holds all or those alone.
StepBatch own_images(const StepBatch& batch, const BatchShard& shard);
// The parts of a shard, of a batch that holds all images or the shard's alone. They share its
// memory.
std::vector<StepBatch> split(const StepBatch& batch, const BatchShard& shard);
// All parts.
std::vector<StepBatch> split(const StepBatch& batch, std::int64_t parts);

}  // namespace hac
