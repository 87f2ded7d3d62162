#pragma once
// Losses and gradients of a batch: forward and backward of the parts that are computed here, and
// what the ranks' parts add up to. What an eager step and a captured one have in common.

#include <functional>
#include <vector>

#include "models/model.h"
#include "models/train/batch_parts.h"
#include "models/train/step_ranks.h"

namespace hac {

struct BatchWork {
  double smoothing = 0;
  std::int64_t parts = 1;       // of each batch
  StepRanks* ranks = nullptr;   // that share them; null: all are computed here
  bool sync_batchnorm = false;  // over the whole batch; of ranks that compute a part each
};

struct PartsDone {
  std::vector<Tensor> losses;  // (), shares of the batch's mean
  std::vector<Tensor> probs;   // (n, classes)
};

// batch: its images, or this rank's alone. seed: the gradient of the loss. before(k): of this
// rank's k-th part; checked(part, loss): or null, between its passes. The model's gradients are the
// batch's afterwards, on every rank.
PartsDone batch_gradients(Model& model, const BatchWork& work, const StepBatch& batch,
                          const BatchShard& shard, const Tensor& seed,
                          const std::function<void(std::int64_t)>& before,
                          const std::function<void(const StepBatch&, const Tensor&)>& checked);

}  // namespace hac
