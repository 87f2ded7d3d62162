#include "models/train/train_step.h"

#include <fmt/format.h>

#include <cmath>

#include "data/loader/mixup.h"
#include "engine/autograd/ops.h"
#include "kernels/core/error.h"
#include "models/train/evaluate.h"
#include "models/train/train.h"

namespace hac {
namespace {

// Gradients that overflow f16 at this scale are none that a scale could mend.
constexpr double least_loss_scale = 1. / 16;

}  // namespace

TrainStep::TrainStep(Model& model, Optimizer& optimizer, BatchSource& loader,
                     const TrainConfig& config)
    : model_(model),
      optimizer_(optimizer),
      loader_(loader),
      config_(config),
      skipped_(optimizer.loss_scale().on() ? optimizer.loss_scale().skipped() : 0) {
  if (mixes()) mixing_ = to_tensor({}).to(loader.capturable() ? model.device() : Device{});
  if (config.launch.value_or(default_launch_mode(model.device())) == LaunchMode::graph) {
    captured_.emplace(model, optimizer, config.label_smoothing, config.accumulate);
  }
}

StepResult TrainStep::run(std::int64_t step, double lr, StepObserver* observer) {
  if (mixes()) {
    const std::int64_t side = model_.arch().resolution;
    mixing_.copy_from(
        to_tensor(draw_mixing(config_.mixup, config_.cutmix, config_.seed, step, side, side)));
  }
  const StepResult result = compute(step, lr, observer);
  if (!was_skipped(step) && observer) observer->count_step();
  return result;
}

StepResult TrainStep::compute(std::int64_t step, double lr, StepObserver* observer) {
  const auto make = [this] { return make_batch(); };
  // The last batch of an epoch may be smaller.
  if (!captured_ || loader_.size() != config_.batch) return eager(make(), step, lr, observer);
  const StepResult result = loader_.capturable() ? captured_->run(make, lr, step, observer)
                                                 : captured_->run(make(), lr, step, observer);
  if (!std::isfinite(result.loss)) {
    const StepBatch part = split(result.batch, config_.accumulate).front();
    throw_not_finite(model_, part.images, fmt::format("at step {}", step), result.loss);
  }
  return result;
}

// With mixup or CutMix soft targets, and the images mixed.
StepBatch TrainStep::make_batch() {
  const Batch batch = loader_.make();
  if (!mixes()) return {batch.images, batch.labels, batch.labels};
  return {batch.images, batch.labels, mixup(batch, model_.arch().classes, mixing_)};
}

// True if the loss scale was too large for this step, and nothing was learned from it.
bool TrainStep::was_skipped(std::int64_t step) {
  const LossScale& scale = optimizer_.loss_scale();
  if (!scale.on()) return false;
  const std::int64_t now = scale.skipped();
  const bool more = now > skipped_;
  skipped_ = now;
  if (more && scale.scale() < least_loss_scale) {
    throw Error(fmt::format(
        "model '{}': gradients are not finite in {} at step {}, at a loss scale of {} and any "
        "above (hint: a lower --lr, more --warmup, or --dtype bf16)",
        model_.arch().name, name_of(model_.dtype()), step, least_loss_scale));
  }
  return more;
}

StepResult TrainStep::eager(const StepBatch& batch, std::int64_t step, double lr,
                            StepObserver* observer) {
  model_.zero_grad();
  StepResult result{.batch = batch};
  for (const StepBatch& part : split(batch, config_.accumulate)) {
    model_.set_step(step * config_.accumulate + std::ssize(result.probs));
    const auto [loss, probs] = ops::softmax_cross_entropy(
        model_.forward(part.images), part.target, static_cast<float>(config_.label_smoothing),
        config_.accumulate > 1 ? batch.size() : 0);
    const double value = loss.value().item();
    // Max pooling on the CPU skips a NaN, and the loss may be finite again; the statistics before
    // it tell.
    const bool hidden = model_.device().kind == DeviceKind::cpu && !statistics_finite(model_);
    if (!std::isfinite(value) || hidden) {
      throw_not_finite(model_, part.images, fmt::format("at step {}", step), value);
    }
    result.loss += value;
    result.probs.push_back(probs);
    backward(loss, optimizer_.loss_scale().seed());
  }
  optimizer_.set_rate(lr);
  observe_and_update(model_, optimizer_, observer);
  return result;
}

}  // namespace hac
