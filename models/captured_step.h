#pragma once
// The whole training step as one recording: forward, loss, backward, importance, update. A step
// writes the batch, the learning rate and the number of the step into device memory, replays, and
// reads the loss.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/capture.h"
#include "engine/optim/sgd.h"
#include "models/model.h"

namespace hac {

class StepObserver;

struct StepResult {
  double loss = 0;  // batch mean
  Tensor probs;     // (N, classes) on the model's device, valid until the next step
};

// What an eager step and a captured one do behind the loss: backward, importance (observer may be
// null), update. Work of the device alone.
void learn(Model& model, Sgd& sgd, const Var& loss, StepObserver* observer);

class CapturedStep {
 public:
  // Throws ConfigError where the device cannot record.
  CapturedStep(Model& model, Sgd& sgd, double smoothing);
  // Drops the model's gradients, whose memory is the step's.
  ~CapturedStep();
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;

  // images (batch, C, R, R); target labels (batch) i32 or soft (batch, classes) f32; of any device.
  // Leaves weights, statistics and gradients bit for bit as an eager step does. The first step, and
  // the first with a batch of another kind or another observer (null: none), runs eagerly, as the
  // rehearsal; the second records.
  StepResult run(const Tensor& images, const Tensor& target, double lr, std::int64_t step,
                 StepObserver* observer = nullptr);

  bool recorded() const { return capture_ && capture_->recorded(); }
  std::size_t bytes() const { return capture_ ? capture_->bytes() : 0; }

 private:
  void work();

  Model& model_;
  Sgd& sgd_;
  const double smoothing_;
  Tensor images_, target_, counter_;  // what the recording reads
  Tensor loss_, probs_;               // what it leaves
  std::vector<std::pair<Var, Tensor>> gradients_;
  StepObserver* observer_ = nullptr;
  std::optional<Capture> capture_;
};

}  // namespace hac
