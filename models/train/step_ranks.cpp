#include "models/train/step_ranks.h"

#include "data/loader/batch_shard.h"

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

}  // namespace hac
