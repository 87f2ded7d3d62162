#pragma once
// The whole training step as one recording: the batch where the device makes it, forward, loss,
// backward, importance, update. A step writes the learning rate, its number and what chooses the
// batch (or the batch itself) into device memory, replays, and reads the loss.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "engine/device/capture.h"
#include "engine/optim/sgd.h"
#include "models/model.h"

namespace hac {

class StepObserver;

// images (N, C, R, R); labels (N) i32; target: the labels, or soft (N, classes) f32.
struct StepBatch {
  Tensor images, labels, target;
};

struct StepResult {
  double loss = 0;  // batch mean
  Tensor probs;     // (N, classes) on the model's device, valid until the next step
  StepBatch batch;  // what was learned from, valid as long
};

// What an eager step and a captured one do behind the loss: backward, importance (observer may be
// null), update. Work of the device alone.
void backward_and_step(Model& model, Sgd& sgd, const Var& loss, StepObserver* observer);

class CapturedStep {
 public:
  // Throws ConfigError where the device cannot record.
  CapturedStep(Model& model, Sgd& sgd, double smoothing);
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
  Sgd& sgd_;
  const double smoothing_;
  StepBatch given_;                  // what the recording reads where nothing makes it
  std::function<StepBatch()> make_;  // or null
  Tensor counter_;                   // the number of the step
  Tensor loss_, probs_;              // what it leaves
  StepBatch batch_;
  std::vector<std::pair<Var, Tensor>> gradients_;
  StepObserver* observer_ = nullptr;
  std::optional<Capture> capture_;
  bool refused_ = false;  // the last recording
};

}  // namespace hac
