#pragma once
// One step of training on the batch that a loader stands at: mixup or CutMix, forward, loss,
// backward, importance, update. Eager, or one recording replayed.
//
// Where the device makes the batches and no ranks share them, recorded steps run ahead of the host:
// it writes the settings of many at once, starts each by a replay alone, and reads what they add up
// to some ten times a second, or when somebody asks. The sums have the same bits either way.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "data/loader/make_loader.h"
#include "engine/optim/optimizer.h"
#include "models/model.h"
#include "models/train/captured_step.h"
#include "models/train/train_config.h"

namespace hac {

struct TrainPosition;

// Of the whole training.
struct StepPlan {
  std::function<double(std::int64_t step)> rate;  // the learning rate
  std::int64_t total_steps = 0;
  StepObserver* observer = nullptr;  // or null
};

class TrainStep {
 public:
  // All four outlive it. Collective where the configuration has a group.
  TrainStep(Model& model, Optimizer& optimizer, BatchSource& loader, const TrainConfig& config,
            StepPlan plan);

  // Step at.step, on batch at.batch of the epoch, which the loader chose; both grow by one. The
  // sums in `at` are those of some earlier step until collect(). Both throw Error when a loss or a
  // statistic is not finite, naming the first layer, and when no loss scale would keep the
  // gradients finite.
  void run(TrainPosition& at);
  void collect(TrainPosition& at);
  // Steps that the loss scale has left out, since the training began, as of collect().
  std::int64_t skipped() const { return skipped_; }

 private:
  using Clock = std::chrono::steady_clock;

  StepObserver* watching(std::int64_t step) const;
  void run_one(TrainPosition& at);
  StepResult compute(std::int64_t step, double lr, StepObserver* observer);
  StepResult eager(const StepBatch& batch, std::int64_t step, double lr, StepObserver* observer);
  StepBatch make_batch();
  Mixing mixing_of(std::int64_t step) const;
  void add_ranks(StepResult& result) const;
  std::int64_t newly_skipped(std::int64_t step);

  bool runs_ahead() const;
  void plan_steps(const TrainPosition& at);
  [[noreturn]] void throw_broken(const TrainPosition& at, const StepTotals& totals);

  Model& model_;
  Optimizer& optimizer_;
  BatchSource& loader_;
  const TrainConfig& config_;
  const StepPlan plan_;
  Tensor mixing_;  // of this step, where the batch is
  std::optional<StepRanks> ranks_;
  BatchWork work_;
  std::optional<CapturedStep> captured_;
  std::int64_t skipped_ = 0;

  // Of steps that run ahead: planned and not started, started and not collected, to plan next time.
  std::int64_t planned_ = 0, pending_ = 0, wanted_ = 1;
  Clock::time_point planned_at_;
};

}  // namespace hac
