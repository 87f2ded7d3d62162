#pragma once
// The whole training step as one recording: the batch where the device makes it, forward, loss,
// backward, importance, update. A step writes the learning rate, its number and what chooses the
// batch (or the batch itself) into device memory, replays, and reads the losses.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "engine/device/capture.h"
#include "engine/optim/optimizer.h"
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

class CapturedStep {
 public:
  // images: of every batch of ranks together; 0: a batch holds all of its images. Throws
  // ConfigError where the device, or what ranks are connected by, cannot record.
  CapturedStep(Model& model, Optimizer& optimizer, const BatchWork& work = {},
               std::int64_t images = 0);
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

  bool recorded() const { return capture_ && capture_->recorded(); }
  std::size_t bytes() const { return capture_ ? capture_->bytes() : 0; }

 private:
  StepResult run_step(bool other, double lr, std::int64_t step, StepObserver* observer);
  void warm_up();
  bool record();
  void work();

  Model& model_;
  Optimizer& optimizer_;
  const BatchWork work_;
  const std::int64_t images_;
  StepBatch given_;                  // what the recording reads where nothing makes it
  std::function<StepBatch()> make_;  // or null
  std::vector<Tensor> counters_;     // of each part, its number in the training
  PartsDone done_;                   // what it leaves
  StepBatch batch_;
  std::vector<std::pair<Var, Tensor>> gradients_;
  StepObserver* observer_ = nullptr;
  std::optional<Capture> capture_;
  bool refused_ = false;  // the last recording
};

}  // namespace hac
