#include "models/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/mixup.h"
#include "data/resident_loader.h"
#include "engine/file.h"
#include "engine/log.h"
#include "engine/ops.h"
#include "engine/print.h"
#include "engine/progress.h"
#include "engine/safetensors.h"
#include "kernels/error.h"
#include "kernels/machine.h"
#include "models/captured_step.h"
#include "models/checkpoint.h"
#include "models/evaluate.h"
#include "models/folder_lock.h"
#include "models/interrupt.h"
#include "models/largest_batch.h"

namespace hac {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Gradients that overflow f16 at this scale are none that a scale could mend.
constexpr double least_loss_scale = 1. / 16;

bool drops_last(std::int64_t images, std::int64_t batch) { return images % batch == 1; }

// One training run: what the loop below needs at every step.
class Run {
 public:
  Run(Model& model, const DataSplit& data, const TrainConfig& config, StepObserver* observer)
      : model_(model),
        data_(data),
        config_(of_model(config, model)),
        observer_(observer),
        sgd_(model.parameters(), config.sgd, initial_loss_scale(config, model.dtype())),
        loader_(make_loader(data.train, loader_config(), model.device())),
        evaluation_(model, data.test) {
    if (config.epochs > 0 && loader_->batches() == 0) {
      throw ConfigError(
          fmt::format("training set: expected at least 2 images, got {}", data.train->size()));
    }
    if (config.mixup > 0) {
      lambda_ = Tensor::zeros({}, Dtype::f32, loader_->capturable() ? model.device() : Device{});
    }
    total_steps_ = config.epochs * loader_->batches();
    if (config.max_steps >= 0) total_steps_ = std::min(total_steps_, config.max_steps);
    if (!config.out.empty()) open_folder();
    if (config.launch.value_or(default_launch_mode(model.device())) == LaunchMode::graph) {
      captured_.emplace(model_, sgd_, config_.label_smoothing);
    }
  }

  // What needs all the memory that a run ever does: whole batches, recorded where steps are, beside
  // the test set; the last batch of an epoch, which may be smaller and then has memory of its own;
  // and an evaluation.
  static constexpr std::int64_t rehearsal_steps = 3;
  TrainResult rehearse() {
    evaluation_.run(1);
    // How far ahead a loader's threads are is a matter of time: as far as they can be.
    Tensor ahead;
    if (model_.device().kind == DeviceKind::cpu) {
      const LoaderConfig loader = loader_config();
      const Architecture& a = model_.arch();
      const std::int64_t images = std::max(loader.prefetch, loader.threads) * config_.batch;
      ahead = Tensor::empty({images, a.channels, a.resolution, a.resolution});
    }
    at_.batch = std::max<std::int64_t>(0, loader_->batches() - rehearsal_steps);
    const TrainResult result = run();
    ahead = {};
    evaluation_.run(1);
    return result;
  }

  TrainResult run() {
    const InterruptGuard guard;
    interrupt_ = &guard;
    started_ = saved_ = Clock::now();
    model_.train();
    if (at_.step > 0) lr_ = rate(at_.step - 1);
    // A checkpoint may lie behind the last step of an epoch and before its evaluation.
    while (!guard.requested() && (at_.step < total_steps_ || all_batches_done())) run_epoch();
    const bool interrupted = guard.requested();
    if (interrupted || config_.max_steps >= 0 || total_steps_ == 0) save("last");
    if (!config_.save_gradients.empty()) save_gradients();
    return {.test = at_.test,
            .best_top1 = std::max(0.0, at_.best_top1),
            .steps = at_.step,
            .interrupted = interrupted};
  }

 private:
  static TrainConfig of_model(TrainConfig config, const Model& model) {
    config.dtype = model.dtype();
    return config;
  }

  LoaderConfig loader_config() const {
    return {.batch = config_.batch,
            .resolution = model_.arch().resolution,
            .shuffle = config_.shuffle,
            .augment = config_.augment,
            .drop_last = drops_last(data_.train->size(), config_.batch),
            .seed = config_.seed,
            .threads = loader_threads()};
  }

  std::string path(const char* name) const { return config_.out + "/" + name; }

  void open_folder() {
    make_folder(config_.out);
    lock_.emplace(config_.out);
    remove_leftovers(config_.out);
    images_ = trained_on(data_, config_.data.name);
    const std::string last = path("last.safetensors");
    const bool resuming = config_.resume && std::filesystem::exists(last);
    if (resuming) {
      at_ = load_checkpoint(last, model_, sgd_, config_, observer_, images_);
      skipped_ = sgd_.loss_scale().skipped();
    } else {
      write_file_atomically(path("config.json"), to_json(config_) + "\n");
      write_file_atomically(path("architecture.json"), to_json(model_.arch()) + "\n");
    }
    // The line of an epoch that is not finished is written again.
    const std::int64_t logged = at_.batch > 0 ? at_.step - 1 : at_.step;
    log_.emplace(path("log.jsonl"), resuming ? std::optional(logged) : std::nullopt);
  }

  bool all_batches_done() const { return at_.batch > 0 && at_.batch == loader_->batches(); }

  double rate(std::int64_t step) const {
    return learning_rate(config_.schedule, step, loader_->batches(), config_.epochs);
  }

  // To the end of the epoch or of the run, or until it is interrupted.
  void run_epoch() {
    const std::int64_t steps = loader_->batches();
    Progress progress(fmt::format("{}epoch {}/{}", config_.label, at_.epoch + 1, config_.epochs),
                      std::min(steps - at_.batch, total_steps_ - at_.step), config_.quiet,
                      model_.device());
    loader_->start(at_.epoch, at_.batch);
    while (at_.step < total_steps_ && loader_->advance()) {
      const std::int64_t images = loader_->size();
      step(images);
      progress.step(images, fields());
      if (interrupt_->requested()) return;
      if (seconds_since(saved_) > config_.checkpoint_seconds) save("last");
    }
    progress.finish(fields());
    if (all_batches_done()) finish_epoch(progress.images_per_second());
  }

  void step(std::int64_t images) {
    lr_ = rate(at_.step);
    if (config_.mixup > 0) {
      const float lambda = mixup_lambda(config_.mixup, config_.seed, at_.step);
      lambda_.copy_from(Tensor::from(std::span(&lambda, 1), {}));
    }
    const bool watched = observer_ && observer_->wants(at_.step, total_steps_);
    const StepResult result = run_step(images, watched ? observer_ : nullptr);
    if (!skipped() && watched) observer_->count_step();
    at_.step += 1;
    at_.batch += 1;
    at_.images += images;
    at_.loss_sum += result.loss * static_cast<double>(images);
    at_.correct += count_in_top(result.probs, result.batch.labels, 1);
  }

  StepResult run_step(std::int64_t images, StepObserver* observer) {
    const auto make = [this] { return make_batch(); };
    // The last batch of an epoch may be smaller.
    if (!captured_ || images != config_.batch) return eager_step(make(), observer);
    const StepResult result = loader_->capturable()
                                  ? captured_->run(make, lr_, at_.step, observer)
                                  : captured_->run(make(), lr_, at_.step, observer);
    if (!std::isfinite(result.loss)) {
      throw_not_finite(model_, result.batch.images, fmt::format("at step {}", at_.step),
                       result.loss);
    }
    return result;
  }

  // With mixup soft targets, and the images mixed.
  StepBatch make_batch() {
    const Batch batch = loader_->make();
    if (config_.mixup == 0) return {batch.images, batch.labels, batch.labels};
    return {batch.images, batch.labels, mixup(batch, model_.arch().classes, lambda_)};
  }

  // True if the loss scale was too large for this step, and nothing was learned from it.
  bool skipped() {
    const LossScale& scale = sgd_.loss_scale();
    if (!scale.on()) return false;
    const std::int64_t now = scale.skipped();
    const bool more = now > skipped_;
    skipped_ = now;
    if (more && scale.scale() < least_loss_scale) {
      throw Error(fmt::format(
          "model '{}': gradients are not finite in {} at step {}, at a loss scale of {} and any "
          "above (hint: a lower --lr, more --warmup, or --dtype bf16)",
          model_.arch().name, name_of(model_.dtype()), at_.step, least_loss_scale));
    }
    return more;
  }

  StepResult eager_step(const StepBatch& batch, StepObserver* observer) {
    model_.set_step(at_.step);
    model_.zero_grad();
    const Var logits = model_.forward(batch.images);
    const auto [loss, probs] = ops::softmax_cross_entropy(
        logits, batch.target, static_cast<float>(config_.label_smoothing));
    const double value = loss.value().item();
    // Max pooling on the CPU skips a NaN, and the loss may be finite again; the statistics before
    // it tell.
    const bool hidden = model_.device().kind == DeviceKind::cpu && !statistics_finite(model_);
    if (!std::isfinite(value) || hidden) {
      throw_not_finite(model_, batch.images, fmt::format("at step {}", at_.step), value);
    }
    sgd_.set_rate(lr_);
    learn(model_, sgd_, loss, observer);
    return {.loss = value, .probs = probs, .batch = batch};
  }

  ProgressFields fields() const {
    const double n = std::max<double>(1, at_.images);
    return {.loss = at_.loss_sum / n, .accuracy = at_.correct / n, .lr = lr_};
  }

  void finish_epoch(double images_per_second) {
    const ProgressFields train = fields();
    at_.epoch += 1;
    at_.batch = at_.images = at_.correct = 0;
    at_.loss_sum = 0;
    const bool evaluated = at_.epoch == config_.epochs || at_.epoch % config_.evaluate_every == 0;
    // The position goes last: a run killed before it repeats this epoch, and with it the others.
    if (evaluated && evaluate_epoch()) save("best");
    if (log_) log_->append(epoch_line(train, images_per_second, evaluated));
    save("last");
  }

  // True if this is the best epoch so far.
  bool evaluate_epoch() {
    at_.test = evaluation_.run();
    const bool best = at_.test.top1 > at_.best_top1;
    at_.best_top1 = std::max(at_.best_top1, at_.test.top1);
    if (!config_.quiet) {
      print(stderr, fmt::format("{}epoch {}/{}  test loss {:.4f}  top-1 {:.2f} %{}\n",
                                config_.label, at_.epoch, config_.epochs, at_.test.loss,
                                100 * at_.test.top1, best ? "  best" : ""));
    }
    return best;
  }

  std::string epoch_line(const ProgressFields& train, double images_per_second,
                         bool evaluated) const {
    nlohmann::ordered_json line{{"type", "epoch"},          {"epoch", at_.epoch},
                                {"step", at_.step},         {"lr", lr_},
                                {"train_loss", train.loss}, {"train_top1", train.accuracy}};
    if (evaluated) {
      line.update({{"test_loss", at_.test.loss},
                   {"test_top1", at_.test.top1},
                   {"test_top5", at_.test.top5}});
    }
    if (sgd_.loss_scale().on()) {
      line.update({{"loss_scale", sgd_.loss_scale().scale()}, {"skipped_steps", skipped_}});
    }
    line.update({{"images_per_second", images_per_second},
                 {"seconds", seconds_since(started_)},
                 {"tensor_peak_bytes", memory_stats(model_.device()).peak},
                 {"resident_peak_bytes", peak_resident_bytes()}});
    return line.dump();
  }

  void save(const char* name) {
    if (config_.out.empty()) return;
    // An update may break weights that the loss before it did not show; nobody could go on from it.
    if (const std::string broken = broken_parameter(model_); !broken.empty()) {
      throw Error(
          fmt::format("model '{}': {} is not finite after step {} (hint: a lower --lr or more "
                      "--warmup)",
                      model_.arch().name, broken, at_.step - 1));
    }
    save_checkpoint(path(name) + ".safetensors", model_, sgd_, config_, at_, observer_, images_);
    saved_ = Clock::now();
  }

  void save_gradients() const {
    TensorFile file;
    for (const Parameter& p : model_.parameters()) {
      if (p.var.grad().defined()) file.tensors[p.name] = p.var.grad();
    }
    save_safetensors(config_.save_gradients, file);
  }

  Model& model_;
  const DataSplit& data_;
  const TrainConfig config_;
  StepObserver* observer_;
  Sgd sgd_;
  std::optional<FolderLock> lock_;
  const InterruptGuard* interrupt_ = nullptr;  // of run()
  std::unique_ptr<BatchSource> loader_;
  Tensor lambda_;  // mixup's share of this step, where the batch is
  Evaluation evaluation_;
  std::optional<CapturedStep> captured_;
  std::optional<JsonLog> log_;
  TrainedOn images_;  // for checkpoints
  TrainPosition at_;
  std::int64_t total_steps_ = 0;
  std::int64_t skipped_ = 0;  // steps that the loss scale left out
  double lr_ = 0;
  Clock::time_point started_, saved_;
};

// Throws OutOfMemory if a run with that batch would. Weights stay: the learning rate is 0.
void rehearse(Model& model, const DataSplit& data, TrainConfig config, std::int64_t batch) {
  config.batch = batch;
  config.max_steps = Run::rehearsal_steps;
  config.epochs = config.evaluate_every = 1 << 20;
  config.schedule = {.kind = "constant", .lr = 0};
  config.out = config.save_gradients = "";
  config.resume = false;
  config.quiet = true;
  model.zero_grad();
  Context::current(model.device()).release_scratch();
  if (Run(model, data, config, nullptr).rehearse().interrupted) {
    throw Interrupted("interrupted while looking for a batch that fits into memory");
  }
}

// The last checkpoint is whole whatever happened; says so where there is one.
std::string resumable(const std::string& message, const TrainConfig& config) {
  const std::string last = config.out + "/last.safetensors";
  if (config.out.empty() || !std::filesystem::exists(last)) return message;
  return fmt::format("{}; the run can go on from '{}' (hint: --resume)", message, last);
}

}  // namespace

std::int64_t steps_per_epoch(std::int64_t images, std::int64_t batch) {
  return drops_last(images, batch) ? images / batch : ceil_div(images, batch);
}

TrainResult train(Model& model, const DataSplit& data, const TrainConfig& config,
                  StepObserver* observer) {
  validate(config);
  if (config.launch) require_launch_mode(*config.launch, model.device());
  require_match(model, *data.train, "training");
  require_match(model, *data.test, "test");
  // In a handler the run is gone, and with it its memory.
  try {
    return Run(model, data, config, observer).run();
  } catch (const OutOfMemory& error) {
    const std::int64_t most = std::min(config.batch, data.train->size());
    BatchSearch found{.complete = false};
    try {
      found =
          largest_batch(most, [&](std::int64_t batch) { rehearse(model, data, config, batch); });
    } catch (const Interrupted&) {
      throw;
    } catch (const Error&) {  // what ended the run is worth more than what ended the search
    }
    throw_with_batch(error, found);
  } catch (const DeviceError& error) {
    throw DeviceError(resumable(error.what(), config));
  }
}

}  // namespace hac
