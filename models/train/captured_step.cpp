#include "models/train/captured_step.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <exception>

#include "engine/device/overlap.h"
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

// A row of the table: this, then the number of each part.
struct RowHead {
  float lr;
  std::int32_t unused;
  std::int64_t position;
  Mixing mixing;
};
static_assert(sizeof(RowHead) % sizeof(std::uint64_t) == 0);

std::int64_t row_bytes(std::int64_t parts) {
  return static_cast<std::int64_t>(sizeof(RowHead) + parts * sizeof(std::uint64_t));
}

}  // namespace

void observe_and_update(Model& model, Optimizer& optimizer, StepObserver* observer) {
  optimizer.unscale();
  if (observer) observer->accumulate(model, optimizer.skip());
  optimizer.update();
}

CapturedStep::CapturedStep(Model& model, Optimizer& optimizer, const BatchWork& work,
                           std::int64_t images, MakeReads reads)
    : model_(model),
      optimizer_(optimizer),
      work_(work),
      images_(images),
      reads_(reads),
      second_(second_context(model.device())) {
  const Device device = model.device();
  require_launch_mode(LaunchMode::graph, device);
  if (work.ranks && !work.ranks->device().on_device()) {
    throw ConfigError(
        "launch: expected eager where gradients go by way of the host, got graph (hint: it needs "
        "NCCL on every rank)");
  }
  counters_ = Tensor::zeros({work.parts, sizeof(std::uint64_t)}, Dtype::u8, device);
  table_ = Tensor::zeros({most_planned, row_bytes(work.parts)}, Dtype::u8, device);
  totals_ = Tensor::zeros({sizeof(StepTotals)}, Dtype::u8, device);
  constexpr std::int64_t stop = offsetof(StepTotals, stop);
  optimizer.stop_by(totals_.slice(stop, stop + sizeof(std::int32_t)));
}

CapturedStep::~CapturedStep() {
  optimizer_.stop_by({});
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
  other |= keep(given_.labels, batch.labels, device);
  return run_one(other, lr, step, observer);
}

StepResult CapturedStep::run(const std::function<StepBatch()>& make, double lr, std::int64_t step,
                             StepObserver* observer) {
  const bool other = make_ == nullptr;
  make_ = make;
  return run_one(other, lr, step, observer);
}

StepResult CapturedStep::run_one(bool other, double lr, std::int64_t step, StepObserver* observer) {
  const StepSettings settings{.lr = lr, .step = step};
  plan(std::span(&settings, 1), 0, 0);
  start(other, observer);
  StepResult result{.probs = done_.probs, .batch = make_ ? batch_ : given_};
  if (images_ > 0) result.batch = own_images(result.batch, shard(result.batch));
  for (const Tensor& loss : done_.losses) {
    result.losses.push_back(loss.item());
    result.loss += result.losses.back();
  }
  return result;
}

void CapturedStep::plan(std::span<const StepSettings> steps, double loss, std::int64_t correct) {
  if (std::ssize(steps) > most_planned) {
    throw ConfigError(fmt::format("captured step: expected at most {} planned steps, got {}",
                                  most_planned, steps.size()));
  }
  const std::int64_t first = images_ > 0 ? own_shard(work_.ranks, images_, work_.parts).first : 0;
  const Tensor rows = Tensor::zeros({std::ssize(steps), table_.shape()[1]}, Dtype::u8);
  std::byte* row = static_cast<std::byte*>(rows.data());
  for (const StepSettings& s : steps) {
    const RowHead head{static_cast<float>(s.lr), 0, s.position, s.mixing};
    std::memcpy(row, &head, sizeof head);
    for (std::int64_t k = 0; k < work_.parts; ++k) {
      const auto number = static_cast<std::uint64_t>(s.step * work_.parts + first + k);
      std::memcpy(row + sizeof head + k * sizeof number, &number, sizeof number);
    }
    row += table_.shape()[1];
  }
  table_.slice(0, std::ssize(steps)).copy_from(rows);
  const StepTotals from{.loss = loss, .correct = correct};
  const Tensor totals = Tensor::empty(totals_.shape(), Dtype::u8);
  std::memcpy(totals.data(), &from, sizeof from);
  totals_.copy_from(totals);
}

void CapturedStep::run_planned(const std::function<StepBatch()>& make, StepObserver* observer) {
  const bool other = make_ == nullptr;
  make_ = make;
  start(other, observer);
}

StepTotals CapturedStep::totals() const {
  StepTotals totals;
  const Tensor host = totals_.to(Device{});
  std::memcpy(&totals, host.data(), sizeof totals);
  return totals;
}

void CapturedStep::start(bool other, StepObserver* observer) {
  if (!capture_ || other || observer != observer_) {
    observer_ = observer;
    gradients_.clear();
    refused_ = false;
    capture_.emplace(model_.device(), second_.get());
    warm_up();
  } else if (!capture_->recorded() && !record()) {
    if (capture_->recorded())
      capture_.emplace(model_.device(), second_.get());  // another rank refused
    warm_up();
  } else {
    capture_->replay();
    // An eager step in between has put its own in their place.
    for (const auto& [parameter, gradient] : gradients_) parameter.set_grad(gradient);
  }
}

BatchShard CapturedStep::shard(const StepBatch& batch) const {
  return own_shard(work_.ranks, images_ > 0 ? images_ : batch.size(), work_.parts);
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

std::vector<RowPart> CapturedStep::row_parts() const {
  std::vector<RowPart> parts{
      {optimizer_.rate().data(), offsetof(RowHead, lr), sizeof(RowHead::lr)},
      {counters_.data(), sizeof(RowHead), static_cast<std::int32_t>(counters_.bytes())}};
  if (reads_.position) {
    parts.push_back({reads_.position, offsetof(RowHead, position), sizeof(RowHead::position)});
  }
  if (reads_.mixing) {
    parts.push_back({reads_.mixing, offsetof(RowHead, mixing), sizeof(RowHead::mixing)});
  }
  return parts;
}

// First it lets go of what the step before left, so that the recording finds the same memory free
// as the warm-up.
void CapturedStep::work() {
  const std::vector<RowPart> parts = row_parts();
  step_state_kernels.run(&StepStateKernels::advance, model_.device(),
                         StepTableSpec{table_.shape()[1]}, table_.data(), totals_.data(),
                         std::span<const RowPart>(parts));
  model_.zero_grad();
  done_ = {};
  batch_ = {};
  if (make_) batch_ = make_();
  const StepBatch& batch = make_ ? batch_ : given_;
  done_ = batch_gradients(
      model_, work_, batch, shard(batch), optimizer_.loss_scale().seed(),
      [this](std::int64_t k) { model_.set_step(0, counters_.slice(k, k + 1)); }, nullptr);
  count(batch);
  observe_and_update(model_, optimizer_, observer_);
}

// Before the update, which is left out where a loss is not finite.
void CapturedStep::count(const StepBatch& batch) {
  const BatchShard own = shard(batch);
  const std::vector<StepBatch> parts = split(own_images(batch, own), own);
  for (std::size_t k = 0; k < parts.size(); ++k) {
    const Tensor& probs = done_.probs[k];
    const StepCountSpec spec{.n = probs.shape()[0],
                             .classes = probs.shape()[1],
                             .images = own.images,
                             .first = k == 0,
                             .last = k + 1 == parts.size()};
    step_state_kernels.run(&StepStateKernels::count, model_.device(), spec, probs.data(),
                           parts[k].labels.data(), done_.losses[k].data(), totals_.data());
  }
}

}  // namespace hac
