#include "models/train/weight_average.h"

#include <fmt/format.h>

#include "engine/autograd/var.h"
#include "kernels/core/error.h"
#include "kernels/ops/lerp.h"
#include "models/train/batch_parts.h"

namespace hac {
namespace {

using State = std::map<std::string, Tensor>;

const std::string count_name = std::string(average_prefix) + "count";

State clone(const State& state) {
  State copy;
  for (const auto& [name, tensor] : state) copy[name] = tensor.clone();
  return copy;
}

// In place, because captured work reads it there.
void overwrite(Model& model, const State& from) {
  for (const auto& [name, tensor] : model.state()) tensor.copy_from(from.at(name));
  for (const Parameter& p : model.parameters()) {
    if (p.var.copy().defined()) p.var.keep_copy(model.dtype());
  }
}

// The model's own weights and statistics again, at the end.
class Restore {
 public:
  explicit Restore(Model& model) : model_(model), state_(clone(model.state())) {}
  ~Restore() { overwrite(model_, state_); }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  Model& model_;
  const State state_;
};

}  // namespace

WeightAverage::WeightAverage(Model& model, const TrainConfig& config)
    : model_(model),
      ema_(config.ema),
      swa_begin_(config.swa * static_cast<double>(config.epochs)),
      parts_(config.accumulate) {
  if (averages(config)) average_ = clone(model.state());
}

void WeightAverage::after_step() {
  if (ema_ > 0) add(static_cast<float>(1 - ema_));
}

void WeightAverage::after_epoch(std::int64_t epoch) {
  if (ema_ > 0 || average_.empty() || static_cast<double>(epoch) <= swa_begin_) return;
  add(1 / static_cast<float>(count_ + 1));
}

void WeightAverage::add(float weight) {
  std::vector<LerpSegment> segments;
  for (const Parameter& p : model_.parameters()) {
    const Tensor& w = p.var.value();
    segments.push_back({w.data(), average_.at(p.name).data(), w.storage_numel()});
  }
  lerp_kernels.run(&LerpKernels::apply, model_.device(), LerpSpec{weight},
                   std::span<const LerpSegment>(segments));
  ++count_;
}

EvalResult WeightAverage::evaluate(Evaluation& evaluation, BatchSource& loader,
                                   std::int64_t epoch) {
  const Restore own(model_);
  give_to_model();
  recompute_statistics(model_, loader, epoch, most_batches, parts_);
  for (const Buffer& b : model_.buffers()) average_.at(b.name).copy_from(b.tensor);
  return evaluation.run();
}

State WeightAverage::weights() const { return average_; }

void WeightAverage::give_to_model() const { overwrite(model_, average_); }

State WeightAverage::state() const {
  State state;
  for (const auto& [name, tensor] : average_) state[std::string(average_prefix) + name] = tensor;
  if (state.empty()) return state;
  const std::vector<std::int32_t> count{static_cast<std::int32_t>(count_)};
  state[count_name] = Tensor::from(count, {1});
  return state;
}

void WeightAverage::load_state(const State& state) {
  for (const auto& [name, own] : this->state()) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.shape() != own.shape() ||
        found->second.dtype() != own.dtype()) {
      throw IoError(fmt::format("'{}' is missing or malformed", name));
    }
    if (own.dtype() == Dtype::f32 && !all_finite(found->second)) {
      throw IoError(name + " is not finite");
    }
  }
  if (average_.empty()) return;
  count_ = state.at(count_name).to(Device{}).as<std::int32_t>()[0];
  if (count_ < 0)
    throw IoError(fmt::format("'{}': expected 0 or more, got {}", count_name, count_));
  for (const auto& [name, own] : average_) {
    own.copy_from(state.at(std::string(average_prefix) + name));
  }
}

void recompute_statistics(Model& model, BatchSource& loader, std::int64_t epoch,
                          std::int64_t most_batches, std::int64_t parts) {
  if (model.buffers().empty()) return;
  const NoGrad no_grad;
  const bool was_training = model.training();
  model.train();
  loader.start(epoch);
  std::int64_t seen = 0;
  Batch batch;
  for (std::int64_t b = 0; b < most_batches && loader.next(batch); ++b) {
    for (const StepBatch& part : split({batch.images, batch.labels, batch.labels}, parts)) {
      // Shares of 1, 1/2, 1/3, ...: the mean, whatever was there before.
      model.set_statistics_momentum(1 / static_cast<float>(++seen));
      model.forward(part.images);
    }
  }
  model.set_statistics_momentum(Model::statistics_momentum);
  model.train(was_training);
}

}  // namespace hac
