#pragma once
// One step of training on the batch that a loader stands at: mixup or CutMix, forward, loss,
// backward, importance, update. Eager, or one recording replayed.

#include <cstdint>
#include <optional>

#include "data/loader/make_loader.h"
#include "engine/optim/optimizer.h"
#include "models/model.h"
#include "models/train/captured_step.h"
#include "models/train/train_config.h"

namespace hac {

class TrainStep {
 public:
  // All four outlive it. Collective where the configuration has a group.
  TrainStep(Model& model, Optimizer& optimizer, BatchSource& loader, const TrainConfig& config);

  // observer: or null. Throws Error when the loss or a statistic is not finite, naming the first
  // layer, and when no loss scale would keep the gradients finite.
  StepResult run(std::int64_t step, double lr, StepObserver* observer);
  // Steps that the loss scale has left out, since the training began.
  std::int64_t skipped() const { return skipped_; }

 private:
  StepResult compute(std::int64_t step, double lr, StepObserver* observer);
  StepResult eager(const StepBatch& batch, std::int64_t step, double lr, StepObserver* observer);
  StepBatch make_batch();
  void add_ranks(StepResult& result) const;
  bool mixes() const { return config_.mixup > 0 || config_.cutmix > 0; }
  bool was_skipped(std::int64_t step);

  Model& model_;
  Optimizer& optimizer_;
  BatchSource& loader_;
  const TrainConfig& config_;
  Tensor mixing_;  // of this step, where the batch is
  std::optional<StepRanks> ranks_;
  BatchWork work_;
  std::optional<CapturedStep> captured_;
  std::int64_t skipped_ = 0;
};

}  // namespace hac
