#include "models/captured_step.h"

#include <cstring>

#include "engine/ops.h"
#include "engine/random.h"
#include "models/train.h"

namespace hac {

CapturedStep::CapturedStep(Model& model, Sgd& sgd, double smoothing, std::int64_t batch)
    : model_(model), sgd_(sgd), smoothing_(smoothing) {
  const Device device = model.device();
  const Architecture& arch = model.arch();
  require_launch_mode(LaunchMode::graph, device);
  images_ =
      Tensor::empty({batch, arch.channels, arch.resolution, arch.resolution}, Dtype::f32, device);
  labels_ = Tensor::empty({batch}, Dtype::i32, device);
  counter_ = Tensor::zeros({sizeof(std::uint64_t)}, Dtype::u8, device);
  one_ = Tensor::empty({}, Dtype::f32, device);
  fill(one_, 1);
}

CapturedStep::~CapturedStep() {
  model_.zero_grad();
  model_.set_step(0);  // dropout lets go of the counter
}

StepResult CapturedStep::run(const Tensor& images, const Tensor& labels, double lr,
                             std::int64_t step, StepObserver* observer) {
  images_.copy_from(images);
  labels_.copy_from(labels);
  const Tensor count = Tensor::empty(counter_.shape(), Dtype::u8);
  const auto value = static_cast<std::uint64_t>(step);
  std::memcpy(count.data(), &value, sizeof value);
  counter_.copy_from(count);
  sgd_.set_rate(lr);
  model_.set_step(0, counter_);

  if (!capture_ || observer != observer_) {
    observer_ = observer;
    gradients_.clear();
    capture_.emplace(model_.device());
    try {
      capture_->rehearse([this] { work(); });
    } catch (...) {
      capture_.reset();
      throw;
    }
  } else {
    if (!capture_->recorded()) {
      capture_->record([this] { work(); });
      for (const Parameter& p : model_.parameters()) gradients_.emplace_back(p.var, p.var.grad());
    }
    capture_->replay();
    // An eager step in between has put its own in their place.
    for (const auto& [parameter, gradient] : gradients_) parameter.set_grad(gradient);
  }
  if (observer) observer->count_step();
  return {.loss = loss_.item(), .probs = probs_};
}

// First it lets go of what the step before left, so that the recording finds the same memory free
// as the rehearsal.
void CapturedStep::work() {
  model_.zero_grad();
  loss_ = probs_ = Tensor();
  const auto [loss, probs] =
      ops::softmax_cross_entropy(model_.forward(images_), labels_, static_cast<float>(smoothing_));
  loss_ = loss.value();
  probs_ = probs;
  backward(loss, one_);
  if (observer_) observer_->accumulate(model_);
  sgd_.update();
}

}  // namespace hac
