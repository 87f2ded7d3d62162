#include "models/train/captured_step.h"

#include <cstring>
#include <exception>

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

void observe_and_update(Model& model, Optimizer& optimizer, StepObserver* observer) {
  optimizer.unscale();
  if (observer) observer->accumulate(model, optimizer.loss_scale().skip());
  optimizer.update();
}

CapturedStep::CapturedStep(Model& model, Optimizer& optimizer, const BatchWork& work,
                           std::int64_t images)
    : model_(model), optimizer_(optimizer), work_(work), images_(images) {
  const Device device = model.device();
  require_launch_mode(LaunchMode::graph, device);
  if (work.ranks && !work.ranks->device().on_device()) {
    throw ConfigError(
        "launch: expected eager where gradients go by way of the host, got graph (hint: it needs "
        "NCCL on every rank)");
  }
  for (std::int64_t i = 0; i < work.parts; ++i) {
    counters_.push_back(Tensor::zeros({sizeof(std::uint64_t)}, Dtype::u8, device));
  }
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
  const std::int64_t first = images_ > 0 ? own_shard(work_.ranks, images_, work_.parts).first : 0;
  auto number = static_cast<std::uint64_t>(step * work_.parts + first);
  for (const Tensor& counter : counters_) {
    const Tensor count = Tensor::empty(counter.shape(), Dtype::u8);
    std::memcpy(count.data(), &number, sizeof number);
    counter.copy_from(count);
    ++number;
  }
  optimizer_.set_rate(lr);

  if (!capture_ || other || observer != observer_) {
    observer_ = observer;
    gradients_.clear();
    refused_ = false;
    capture_.emplace(model_.device());
    warm_up();
  } else if (!capture_->recorded() && !record()) {
    if (capture_->recorded()) capture_.emplace(model_.device());  // another rank refused
    warm_up();
  } else {
    capture_->replay();
    // An eager step in between has put its own in their place.
    for (const auto& [parameter, gradient] : gradients_) parameter.set_grad(gradient);
  }
  StepResult result{.probs = done_.probs, .batch = make_ ? batch_ : given_};
  if (images_ > 0)
    result.batch = own_images(result.batch, own_shard(work_.ranks, images_, work_.parts));
  for (const Tensor& loss : done_.losses) {
    result.losses.push_back(loss.item());
    result.loss += result.losses.back();
  }
  return result;
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
// warm-up finds it. What is refused twice in a row cannot be recorded at all. Ranks replay the same
// step, so all of them record it or none.
bool CapturedStep::record() {
  std::exception_ptr refused;
  try {
    capture_->record([this] { work(); });
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError&) {
    refused = std::current_exception();
  }
  const bool anywhere = work_.ranks ? any(work_.ranks->group(), refused != nullptr) : bool(refused);
  if (anywhere) {
    if (!std::exchange(refused_, true)) return false;
    if (refused) std::rethrow_exception(refused);
    throw DeviceError("another rank cannot record its step (hint: --launch eager)");
  }
  for (const Parameter& p : model_.parameters()) gradients_.emplace_back(p.var, p.var.grad());
  return true;
}

// First it lets go of what the step before left, so that the recording finds the same memory free
// as the warm-up.
void CapturedStep::work() {
  model_.zero_grad();
  done_ = {};
  batch_ = {};
  if (make_) batch_ = make_();
  const StepBatch& batch = make_ ? batch_ : given_;
  done_ = batch_gradients(
      model_, work_, batch,
      own_shard(work_.ranks, images_ > 0 ? images_ : batch.size(), work_.parts),
      optimizer_.loss_scale().seed(), [this](std::int64_t k) { model_.set_step(0, counters_[k]); },
      nullptr);
  observe_and_update(model_, optimizer_, observer_);
}

}  // namespace hac
