#include "models/train/batch_parts.h"

namespace hac {

StepBatch own_images(const StepBatch& batch, const BatchShard& shard) {
  if (batch.size() == shard.size()) return batch;
  if (shard.first == shard.last) return {};
  const std::int64_t begin = shard.begin(), end = begin + shard.size();
  return {batch.images.slice(begin, end), batch.labels.slice(begin, end),
          batch.target.slice(begin, end)};
}

std::vector<StepBatch> split(const StepBatch& batch, const BatchShard& shard) {
  if (shard.first == shard.last) return {};
  if (shard.count == 1 && shard.size() == batch.size()) return {batch};
  const std::int64_t held = batch.size() == shard.images ? 0 : shard.begin();
  std::vector<StepBatch> all;
  for (std::int64_t i = shard.first; i < shard.last; ++i) {
    const std::int64_t begin = shard.begin(i) - held, end = shard.begin(i + 1) - held;
    all.push_back({batch.images.slice(begin, end), batch.labels.slice(begin, end),
                   batch.target.slice(begin, end)});
  }
  return all;
}

std::vector<StepBatch> split(const StepBatch& batch, std::int64_t parts) {
  return split(batch, shard_of(batch.size(), parts));
}

}  // namespace hac
