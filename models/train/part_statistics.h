#pragma once
// Running statistics of batch norms in a step of several parts: they move once a part, in the order
// of the parts, by what that part's batch norms saw; wherever the parts were computed.

#include <vector>

#include "models/model.h"
#include "models/train/step_ranks.h"

namespace hac {

// For one step. While it lives a forward pass leaves its batch's own statistics in the model.
class PartStatistics {
 public:
  explicit PartStatistics(Model& model);
  ~PartStatistics();  // the running statistics as they were, unless finish() moved them
  PartStatistics(const PartStatistics&) = delete;
  PartStatistics& operator=(const PartStatistics&) = delete;

  void after_part();
  // ranks: or null. Every part of every rank counts, of a batch of so many images that is asked to
  // be cut in so many parts.
  void finish(StepRanks* ranks, std::int64_t images, std::int64_t parts);

 private:
  using Values = std::vector<Tensor>;  // in the order of model.buffers()
  void move(const std::vector<const float*>& seen);

  Model& model_;
  const std::vector<Buffer> buffers_;
  Values running_;
  std::vector<Values> parts_;
};

}  // namespace hac
