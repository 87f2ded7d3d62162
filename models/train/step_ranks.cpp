#include "models/train/step_ranks.h"

namespace hac {

StepRanks::StepRanks(Group& group, Device device)
    : group_(group), where_(device), on_device_(connect(group, device)) {
  if (on_device_->on_device()) beside_ = std::make_unique<Context>(device);
}

Context& StepRanks::beside() const { return beside_ ? *beside_ : Context::current(where_); }

std::vector<std::int64_t> StepRanks::parts_of(std::int64_t images, std::int64_t parts) const {
  std::vector<std::int64_t> counts;
  for (int r = 0; r < size(); ++r) {
    const BatchShard shard = shard_of(images, parts, r, size());
    counts.push_back(shard.last - shard.first);
  }
  return counts;
}

BatchShard own_shard(const StepRanks* ranks, std::int64_t images, std::int64_t parts) {
  return shard_of(images, parts, ranks ? ranks->rank() : 0, ranks ? ranks->size() : 1);
}

}  // namespace hac
