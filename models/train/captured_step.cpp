#include "models/train/captured_step.h"

#include <cstring>

#include "engine/autograd/ops.h"
#include "kernels/core/error.h"
#include "models/train/train.h"

namespace hac {

namespace {

// Copies into a tensor that stays where it is; a new one, and true, if it is of another kind.
bool keep(Tensor& fixed, const Tensor& given, Device device) {
  const bool fits = fixed.defined() && fixed.shape() == given.shape() &&
                    fixed.dtype() == given.dtype() && fixed.layout() == given.layout();
  if (!fits) fixed = Tensor::empty(given.shape(), given.dtype(), device, given.layout());
  fixed.copy_from(given);
  return !fits;
}

}  // namespace

void backward_and_step(Model& model, Sgd& sgd, const Var& loss, StepObserver* observer) {
  backward(loss, sgd.loss_scale().seed());
  sgd.unscale();
  if (observer) observer->accumulate(model, sgd.loss_scale().skip());
  sgd.update();
}

CapturedStep::CapturedStep(Model& model, Sgd& sgd, double smoothing)
    : model_(model), sgd_(sgd), smoothing_(smoothing) {
  const Device device = model.device();
  require_launch_mode(LaunchMode::graph, device);
  counter_ = Tensor::zeros({sizeof(std::uint64_t)}, Dtype::u8, device);
}

CapturedStep::~CapturedStep() {
  model_.zero_grad();
  model_.set_step(0);  // dropout lets go of the counter
}

StepResult CapturedStep::run(const StepBatch& batch, double lr, std::int64_t step,
                             StepObserver* observer) {
  const Device device = model_.device();
  bool other = make_ != nullptr;
  make_ = nullptr;
  other |= keep(given_.images, batch.images, device);
  other |= keep(given_.target, batch.target, device);
  given_.labels = batch.labels;
  return run_step(other, lr, step, observer);
}

StepResult CapturedStep::run(const std::function<StepBatch()>& make, double lr, std::int64_t step,
                             StepObserver* observer) {
  const bool other = make_ == nullptr;
  make_ = make;
  return run_step(other, lr, step, observer);
}

StepResult CapturedStep::run_step(bool other, double lr, std::int64_t step,
                                  StepObserver* observer) {
  const Tensor count = Tensor::empty(counter_.shape(), Dtype::u8);
  const auto value = static_cast<std::uint64_t>(step);
  std::memcpy(count.data(), &value, sizeof value);
  counter_.copy_from(count);
  sgd_.set_rate(lr);
  model_.set_step(0, counter_);

  if (!capture_ || other || observer != observer_) {
    observer_ = observer;
    gradients_.clear();
    refused_ = false;
    capture_.emplace(model_.device());
    warm_up();
  } else if (!capture_->recorded() && !record()) {
    warm_up();
  } else {
    capture_->replay();
    // An eager step in between has put its own in their place.
    for (const auto& [parameter, gradient] : gradients_) parameter.set_grad(gradient);
  }
  return {.loss = loss_.item(), .probs = probs_, .batch = make_ ? batch_ : given_};
}

void CapturedStep::warm_up() {
  try {
    capture_->warm_up([this] { work(); });
  } catch (...) {
    capture_.reset();
    throw;
  }
}

// False if it lacked what the warm-up had, a tensor that somebody holds or a plan: another
// warm-up finds it. What is refused twice in a row cannot be recorded at all.
bool CapturedStep::record() {
  try {
    capture_->record([this] { work(); });
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError&) {
    if (std::exchange(refused_, true)) throw;
    return false;
  }
  for (const Parameter& p : model_.parameters()) gradients_.emplace_back(p.var, p.var.grad());
  return true;
}

// First it lets go of what the step before left, so that the recording finds the same memory free
// as the warm-up.
void CapturedStep::work() {
  model_.zero_grad();
  loss_ = probs_ = Tensor();
  batch_ = {};
  if (make_) batch_ = make_();
  const StepBatch& batch = make_ ? batch_ : given_;
  const auto [loss, probs] = ops::softmax_cross_entropy(model_.forward(batch.images), batch.target,
                                                        static_cast<float>(smoothing_));
  loss_ = loss.value();
  probs_ = probs;
  backward_and_step(model_, sgd_, loss, observer_);
}

}  // namespace hac
