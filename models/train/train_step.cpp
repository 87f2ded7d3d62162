#include "models/train/train_step.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "data/loader/mixup.h"
#include "kernels/core/error.h"
#include "models/train/evaluate.h"
#include "models/train/train.h"

namespace hac {
namespace {

// Gradients that overflow f16 at this scale are none that a scale could mend.
constexpr double least_loss_scale = 1. / 16;

// Of the parts that were computed here.
std::int64_t correct_in(const StepResult& result) {
  std::int64_t correct = 0, begin = 0;
  for (const Tensor& probs : result.probs) {
    const std::int64_t end = begin + probs.shape()[0];
    correct += count_in_top(probs, result.batch.labels.slice(begin, end), 1);
    begin = end;
  }
  return correct;
}

}  // namespace

TrainStep::TrainStep(Model& model, Optimizer& optimizer, BatchSource& loader,
                     const TrainConfig& config)
    : model_(model),
      optimizer_(optimizer),
      loader_(loader),
      config_(config),
      skipped_(optimizer.loss_scale().on() ? optimizer.loss_scale().skipped() : 0) {
  if (mixes()) mixing_ = to_tensor({}).to(loader.capturable() ? model.device() : Device{});
  if (config.group) ranks_.emplace(*config.group, model.device());
  work_ = {.smoothing = config.label_smoothing,
           .parts = parts_of_batch(config),
           .ranks = ranks_ ? &*ranks_ : nullptr,
           .sync_batchnorm = config.sync_batchnorm};
  const bool records = !ranks_ || ranks_->device().on_device();
  const LaunchMode usual = records ? default_launch_mode(model.device()) : LaunchMode::eager;
  if (config.launch.value_or(usual) == LaunchMode::graph) {
    captured_.emplace(model, optimizer, work_, config.batch);
  }
}

StepResult TrainStep::run(std::int64_t step, double lr, StepObserver* observer) {
  if (mixes()) {
    const std::int64_t side = model_.arch().resolution;
    mixing_.copy_from(
        to_tensor(draw_mixing(config_.mixup, config_.cutmix, config_.seed, step, side, side)));
  }
  StepResult result = compute(step, lr, observer);
  result.correct = correct_in(result);
  add_ranks(result);
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
    const std::int64_t first = result.probs.front().shape()[0];  // of the first part
    throw_not_finite(model_, result.batch.images.slice(0, first), fmt::format("at step {}", step),
                     result.loss);
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

// Losses of the parts in their order, as one rank adds them.
void TrainStep::add_ranks(StepResult& result) const {
  if (!config_.group) return;
  std::string own(sizeof result.correct, '\0');
  std::memcpy(own.data(), &result.correct, sizeof result.correct);
  for (const double loss : result.losses) {
    own.append(reinterpret_cast<const char*>(&loss), sizeof loss);
  }
  result.loss = 0;
  result.correct = 0;
  for (const std::string& bytes : config_.group->gather(own)) {
    std::int64_t correct = 0;
    std::memcpy(&correct, bytes.data(), sizeof correct);
    result.correct += correct;
    for (std::size_t at = sizeof correct; at < bytes.size(); at += sizeof(double)) {
      double loss = 0;
      std::memcpy(&loss, bytes.data() + at, sizeof loss);
      result.loss += loss;
    }
  }
}

StepResult TrainStep::eager(const StepBatch& batch, std::int64_t step, double lr,
                            StepObserver* observer) {
  const BatchShard shard = own_shard(work_.ranks, loader_.size(), work_.parts);
  StepResult result{.batch = own_images(batch, shard)};
  const auto check = [&](const StepBatch& part, const Tensor& loss) {
    const double value = loss.item();
    // Max pooling on the CPU skips a NaN, and the loss may be finite again; the statistics before
    // it tell.
    const bool hidden = model_.device().kind == DeviceKind::cpu && !statistics_finite(model_);
    if (!std::isfinite(value) || hidden) {
      throw_not_finite(model_, part.images, fmt::format("at step {}", step), value);
    }
    result.loss += value;
    result.losses.push_back(value);
  };
  result.probs =
      batch_gradients(
          model_, work_, result.batch, shard, optimizer_.loss_scale().seed(),
          [&](std::int64_t k) { model_.set_step(step * work_.parts + shard.first + k); }, check)
          .probs;
  optimizer_.set_rate(lr);
  observe_and_update(model_, optimizer_, observer);
  return result;
}

}  // namespace hac
