#include "models/train/train_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "data/loader/mixup.h"
#include "kernels/core/error.h"
#include "models/train/checkpoint.h"
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
                     const TrainConfig& config, StepPlan plan)
    : model_(model),
      optimizer_(optimizer),
      loader_(loader),
      config_(config),
      plan_(std::move(plan)),
      skipped_(optimizer.loss_scale().on() ? optimizer.loss_scale().skipped() : 0) {
  if (mixes(config_)) mixing_ = to_tensor({}).to(loader.capturable() ? model.device() : Device{});
  if (config.group) ranks_.emplace(*config.group, model.device());
  work_ = {.smoothing = config.label_smoothing,
           .parts = parts_of_batch(config),
           .ranks = ranks_ ? &*ranks_ : nullptr,
           .sync_batchnorm = config.sync_batchnorm};
  const bool records = !ranks_ || ranks_->device().on_device();
  const LaunchMode usual = records ? default_launch_mode(model.device()) : LaunchMode::eager;
  if (config.launch.value_or(usual) != LaunchMode::graph) return;
  MakeReads reads;
  if (loader.capturable() && !ranks_) {
    reads = {loader.position(), mixing_.defined() ? mixing_.data() : nullptr};
  }
  captured_.emplace(model, optimizer, work_, config.batch, reads);
}

StepObserver* TrainStep::watching(std::int64_t step) const {
  const bool watched = plan_.observer && plan_.observer->wants(step, plan_.total_steps);
  return watched ? plan_.observer : nullptr;
}

// The last batch of an epoch may be smaller, and is no recording's.
bool TrainStep::runs_ahead() const {
  return captured_ && loader_.capturable() && !ranks_ && loader_.size() == config_.batch;
}

void TrainStep::run(TrainPosition& at) {
  if (!runs_ahead()) {
    collect(at);
    run_one(at);
  } else {
    if (planned_ == 0) {
      collect(at);
      plan_steps(at);
    }
    captured_->run_planned([this] { return make_batch(); }, watching(at.step));
    --planned_;
    ++pending_;
  }
  at.step += 1;
  at.batch += 1;
}

void TrainStep::run_one(TrainPosition& at) {
  StepObserver* const observer = watching(at.step);
  loader_.place(at.batch);
  if (mixes(config_)) mixing_.copy_from(to_tensor(mixing_of(at.step)));
  StepResult result = compute(at.step, plan_.rate(at.step), observer);
  result.correct = correct_in(result);
  add_ranks(result);
  if (newly_skipped(at.step) == 0 && observer) observer->count_step();
  at.images += loader_.size();
  at.loss_sum = std::fma(result.loss, static_cast<double>(loader_.size()), at.loss_sum);
  at.correct += result.correct;
}

// As many as are alike: of a whole batch, in this epoch, and watched or not.
void TrainStep::plan_steps(const TrainPosition& at) {
  std::vector<StepSettings> steps;
  for (std::int64_t k = 0; k < wanted_; ++k) {
    const std::int64_t step = at.step + k, batch = at.batch + k;
    const bool alike = step < plan_.total_steps && batch < loader_.batches() &&
                       loader_.images_of(batch) == config_.batch &&
                       watching(step) == watching(at.step);
    if (!alike) break;
    steps.push_back({plan_.rate(step), step, loader_.position_of(batch), mixing_of(step)});
  }
  captured_->plan(steps, at.loss_sum, at.correct);
  planned_ = std::ssize(steps);
  planned_at_ = Clock::now();
}

void TrainStep::collect(TrainPosition& at) {
  if (pending_ == 0) return;
  const StepTotals totals = captured_->totals();
  if (totals.broken >= 0) throw_broken(at, totals);
  at.loss_sum = totals.loss;
  at.correct = totals.correct;
  at.images += pending_ * config_.batch;
  const std::int64_t counted = pending_ - newly_skipped(at.step - 1);
  if (StepObserver* const observer = watching(at.step - 1)) {
    for (std::int64_t i = 0; i < counted; ++i) observer->count_step();
  }
  // So that collecting is rare, and what is shown at most a fifth of a second old.
  const double seconds = std::chrono::duration<double>(Clock::now() - planned_at_).count();
  if (seconds > 0.2) wanted_ = std::max<std::int64_t>(1, wanted_ / 2);
  if (seconds < 0.1 && planned_ == 0) wanted_ = std::min(2 * wanted_, CapturedStep::most_planned);
  planned_ = pending_ = 0;
}

// On the images of that step, as far as they are still there; its weights are.
void TrainStep::throw_broken(const TrainPosition& at, const StepTotals& totals) {
  const std::int64_t back = pending_ - totals.broken;
  const std::int64_t step = at.step - back;
  loader_.place(at.batch - back);
  if (mixes(config_)) mixing_.copy_from(to_tensor(mixing_of(step)));
  const StepBatch batch = make_batch();
  throw_not_finite(model_, split(batch, work_.parts).front().images,
                   fmt::format("at step {}", step), totals.parts);
}

Mixing TrainStep::mixing_of(std::int64_t step) const {
  const std::int64_t side = model_.arch().resolution;
  return mixes(config_) ? draw_mixing(config_.mixup, config_.cutmix, config_.seed, step, side, side)
                        : Mixing{};
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
  if (!mixes(config_)) return {batch.images, batch.labels, batch.labels};
  return {batch.images, batch.labels, mixup(batch, model_.arch().classes, mixing_)};
}

// Steps up to this one for which the loss scale was too large, so that nothing was learned from
// them.
std::int64_t TrainStep::newly_skipped(std::int64_t step) {
  const LossScale& scale = optimizer_.loss_scale();
  if (!scale.on()) return 0;
  const std::int64_t before = std::exchange(skipped_, scale.skipped());
  if (skipped_ > before && scale.scale() < least_loss_scale) {
    throw Error(fmt::format(
        "model '{}': gradients are not finite in {} at step {}, at a loss scale of {} and any "
        "above (hint: a lower --lr, more --warmup, or --dtype bf16)",
        model_.arch().name, name_of(model_.dtype()), step, least_loss_scale));
  }
  return skipped_ - before;
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
