#pragma once
// The whole training step as one recording: its settings, the batch where the device makes it,
// forward, loss, backward, importance, update, sums. The settings of many steps are written at once
// and each step takes its own (kernels/ops/step_state.h), so that a replay needs nothing of the
// host, and what the steps add up to is read when somebody asks.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/device/capture.h"
#include "engine/optim/optimizer.h"
#include "kernels/ops/mixup.h"
#include "kernels/ops/step_state.h"
#include "models/model.h"
#include "models/train/batch_gradients.h"

namespace hac {

class StepObserver;

struct StepResult {
  double loss = 0;  // batch mean
  // (n, classes) of each part that was computed here, on the model's device, until the next step.
  std::vector<Tensor> probs;
  std::vector<double> losses;  // of those parts
  StepBatch batch;             // the images of those parts, valid as long
  std::int64_t correct = 0;    // images of the batch whose label is the most probable class
};

// What an eager step and a captured one do once every part has its gradients: importance (observer
// may be null), update. Work of the device alone.
void observe_and_update(Model& model, Optimizer& optimizer, StepObserver* observer);

// Of a step that is to come.
struct StepSettings {
  double lr = 0;
  std::int64_t step = 0;      // number in the training
  std::int64_t position = 0;  // BatchSource::position_of
  Mixing mixing;
};

// Where make() reads the last two, on the device; null: it does not.
struct MakeReads {
  void* position = nullptr;
  void* mixing = nullptr;
};

class CapturedStep {
 public:
  // images: of every batch of ranks together; 0: a batch holds all of its images. Throws
  // ConfigError where the device, or what ranks are connected by, cannot record.
  CapturedStep(Model& model, Optimizer& optimizer, const BatchWork& work = {},
               std::int64_t images = 0, MakeReads reads = {});
  // Drops the model's gradients, whose memory is the step's.
  ~CapturedStep();
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;

  // A batch of any device. Leaves weights, statistics and gradients bit for bit as an eager step
  // does. The first step, and the first with a batch of another kind or another observer (null:
  // none), runs eagerly, as the warm-up; the second records, or is another warm-up where memory
  // of the first is still held. Throws DeviceError if that cannot be recorded either.
  StepResult run(const StepBatch& batch, double lr, std::int64_t step,
                 StepObserver* observer = nullptr);
  // The same with a batch that make() makes: work of the device alone, which becomes part of the
  // recording and is not called again until there is another one.
  StepResult run(const std::function<StepBatch()>& make, double lr, std::int64_t step,
                 StepObserver* observer = nullptr);

  // The settings of the steps to come, at most most_planned, and what the sums start from: loss and
  // correct. Copies to the device; those of an earlier call that are left are dropped.
  void plan(std::span<const StepSettings> steps, double loss, std::int64_t correct);
  static constexpr std::int64_t most_planned = 256;
  // The next of them, on a batch that make() makes as above. A replay waits for nothing.
  void run_planned(const std::function<StepBatch()>& make, StepObserver* observer = nullptr);
  // What the steps since plan() added up to; waits for them. From one on whose loss is not finite
  // nothing is updated (with a loss scale: but by steps whose gradients are finite).
  StepTotals totals() const;

  bool recorded() const { return capture_ && capture_->recorded(); }
  std::size_t bytes() const { return capture_ ? capture_->bytes() : 0; }

 private:
  StepResult run_one(bool other, double lr, std::int64_t step, StepObserver* observer);
  void start(bool other, StepObserver* observer);
  BatchShard shard(const StepBatch& batch) const;
  std::vector<RowPart> row_parts() const;
  void count(const StepBatch& batch);
  void warm_up();
  bool record();
  void work();

  Model& model_;
  Optimizer& optimizer_;
  const BatchWork work_;
  const std::int64_t images_;
  StepBatch given_;                  // what the recording reads where nothing makes it
  std::function<StepBatch()> make_;  // or null
  const MakeReads reads_;
  Tensor table_, totals_;  // rows of bytes; StepTotals
  Tensor counters_;        // of each part, its number in the training: 8 bytes a row
  PartsDone done_;         // what it leaves
  StepBatch batch_;
  std::vector<std::pair<Var, Tensor>> gradients_;
  StepObserver* observer_ = nullptr;
  const std::unique_ptr<Context> second_;  // or null
  std::optional<Capture> capture_;
  bool refused_ = false;  // the last recording
};

}  // namespace hac
