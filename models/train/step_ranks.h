#pragma once
// The ranks that compute a step together, as its parts see them.

#include <memory>
#include <vector>

#include "data/loader/batch_shard.h"
#include "engine/parallel/device_group.h"

namespace hac {

class StepRanks {
 public:
  // Collective: every rank makes its own. The group outlives it.
  StepRanks(Group& group, Device device);

  Group& group() const { return group_; }
  DeviceGroup& device() const { return *on_device_; }
  int rank() const { return group_.rank(); }
  int size() const { return group_.size(); }
  // For what may overlap with the step: a context beside this thread's current one, where
  // collectives are work of the device, else that one itself.
  Context& beside() const;
  // Parts of such a batch that each rank computes (data/loader/batch_shard.h).
  std::vector<std::int64_t> parts_of(std::int64_t images, std::int64_t parts) const;

 private:
  Group& group_;
  const Device where_;
  const std::unique_ptr<DeviceGroup> on_device_;
  std::unique_ptr<Context> beside_;
};

// This rank's; all of it where there are no ranks.
BatchShard own_shard(const StepRanks* ranks, std::int64_t images, std::int64_t parts);

}  // namespace hac
