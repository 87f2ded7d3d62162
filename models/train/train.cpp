#include "models/train/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "data/loader/make_loader.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/io/progress.h"
#include "engine/io/safetensors.h"
#include "engine/io/text.h"
#include "engine/optim/make_optimizer.h"
#include "engine/parallel/group.h"
#include "kernels/core/error.h"
#include "models/train/batch_estimate.h"
#include "models/train/checkpoint.h"
#include "models/train/checkpoint_writer.h"
#include "models/train/evaluate.h"
#include "models/train/folder_lock.h"
#include "models/train/gradient_sum.h"
#include "models/train/hub_config.h"
#include "models/train/interrupt.h"
#include "models/train/rank_check.h"
#include "models/train/run_folder.h"
#include "models/train/train_log.h"
#include "models/train/train_step.h"
#include "models/train/train_tracking.h"
#include "models/train/weight_average.h"
#include "models/train/weights.h"

namespace hac {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One training run: what the loop below needs at every step.
class Run {
 public:
  Run(Model& model, const DataSplit& data, const TrainConfig& config, StepObserver* observer)
      : model_(model),
        data_(data),
        config_(of_model(config, model)),
        leads_(rank_of(config.group) == 0),
        observer_(observer),
        optimizer_(make_optimizer(model.parameters(), config.optimizer,
                                  initial_loss_scale(config, model.dtype()))),
        average_(model, config),
        loader_(make_loader(data.train, loader_config(), model.device())) {
    evaluation_.emplace(model, data.validation ? data.validation : data.test, eval_options());
    if (config.epochs > 0 && loader_->batches() == 0) {
      throw ConfigError(
          fmt::format("training set: expected at least 2 images, got {}", data.train->size()));
    }
    require_images_a_rank(config_, data.train->size());
    total_steps_ = config.epochs * loader_->batches();
    if (config.max_steps >= 0) total_steps_ = std::min(total_steps_, config.max_steps);
    if (config.group)
      require_same(*config.group, what_is_trained(model_, config_, total_steps_, data_));
    if (!config.out.empty()) open_folder();
    if (config.group) require_same(*config.group, where_it_begins(model_, at_));
    step_.emplace(
        model_, *optimizer_, *loader_, config_,
        StepPlan{[this](std::int64_t step) { return rate(step); }, total_steps_, observer_});
  }

  TrainResult run() {
    const InterruptGuard guard;
    interrupt_ = &guard;
    started_ = saved_ = epoch_saved_ = Clock::now();
    model_.train();
    if (at_.step > 0) lr_ = rate(at_.step - 1);
    // A checkpoint may lie behind the last step of an epoch and before its evaluation.
    while (!stops() && (at_.step < total_steps_ || all_batches_done())) run_epoch();
    if (!stopped_) complete_model_file();
    if (stopped_ || config_.max_steps >= 0 || total_steps_ == 0) save(true);
    if (leads_ && !config_.save_gradients.empty()) save_gradients();
    TrainResult result{
        .plain = at_.evaluated, .average = at_.average, .steps = at_.step, .interrupted = stopped_};
    if (data_.validation) {
      select(result);
    } else {
      result.test = counted();
      result.epoch = at_.epoch;
      const bool done = !stopped_ && at_.epoch == config_.epochs;
      if (done && average_counts() && average_.begun()) average_.give_to_model();
    }
    return result;
  }

 private:
  static TrainConfig of_model(TrainConfig config, const Model& model) {
    config.dtype = model.dtype();
    config.quiet |= rank_of(config.group) > 0;
    return config;
  }

  // Once one rank was asked to end, all do, after the same step.
  bool stops() {
    if (stopped_) return true;
    stopped_ = interrupt_->requested();
    if (config_.group) stopped_ = any(*config_.group, stopped_);
    return stopped_;
  }

  LoaderConfig loader_config() const {
    LoaderConfig loader{.batch = config_.batch,
                        .resolution = model_.arch().resolution,
                        .shuffle = config_.shuffle,
                        .pipeline =
                            [this](const Preprocessing& p) {
                              return training(config_.transforms, config_.augment, p);
                            },
                        .drop_last = data_.train->size() % config_.batch == 1,
                        .seed = config_.seed,
                        .threads = loader_threads(model_.device()),
                        .parts = parts_of_batch(config_),
                        .rank = loads_shard() ? config_.group->rank() : 0,
                        .ranks = loads_shard() ? config_.group->size() : 1};
    if (mixes(config_)) return loader;  // in f32, so that a pixel is rounded once
    loader.dtype = model_.dtype();
    loader.layout = model_.image_layout();
    return loader;
  }
  // Mixing pairs any two images of a batch, and an average finds statistics on whole ones.
  bool loads_shard() const { return config_.group && !mixes(config_) && !averages(config_); }

  EvalOptions eval_options() const { return {.group = config_.group, .launch = config_.launch}; }
  Training state() { return {model_, *optimizer_, average_, observer_}; }
  bool average_counts() const { return weight_selection(config_) == WeightSelection::average; }
  // The last evaluation of the weights that count.
  const EvalResult& counted() const {
    return average_counts() && average_.begun() ? at_.average : at_.evaluated;
  }

  void open_folder() {
    images_ = trained_on(data_, config_.data.name);
    bool resuming = false;
    by_rank_0(config_.group, [&] {
      make_folder(config_.out);
      lock_.emplace(config_.out);
      resuming = prepare_run_folder(config_);
    });
    if (config_.group) resuming = any(*config_.group, resuming);
    if (resuming) {
      at_ = load_checkpoint(last_weights(config_.out), state(), config_, images_);
      by_rank_0(config_.group, [&] { require_best(config_, at_.best_epoch); });
    }
    if (leads_) begin_files(resuming);
  }

  void begin_files(bool resuming) {
    write_file_atomically(config_.out + "/architecture.json", to_json(model_.arch()) + "\n");
    write_file_atomically(config_.out + "/config.json", hub_config(model_.arch(), images_));
    write_file_atomically(training_settings(config_.out), to_json(config_) + "\n");
    // The line of an epoch that is not finished is written again.
    const std::int64_t logged = at_.batch > 0 ? at_.step - 1 : at_.step;
    log_.emplace(config_, resuming ? std::optional(logged) : std::nullopt);
    writer_.emplace(config_.out, model_.device(), *log_);
    tell_schedule_change();
  }

  void tell_schedule_change() {
    const auto change = schedule_change(config_, at_, loader_->batches());
    if (!change || at_.step >= total_steps_) return;
    log_->append(log_line(*change, config_));
    if (!config_.quiet) print(stderr, message(*change, config_));
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
    while (at_.step < total_steps_ && loader_->choose()) {
      const std::int64_t images = loader_->size();
      lr_ = rate(at_.step);
      step_->run(at_);
      average_.after_step();
      progress.step(images, fields());
      if (stops()) return;
      if (seconds_since(saved_) > config_.checkpoint_seconds) save();
    }
    step_->collect(at_);
    progress.finish(fields());
    if (all_batches_done()) finish_epoch(progress.images_per_second());
  }

  ProgressFields fields() const {
    const double n = std::max<double>(1, at_.images);
    return {.loss = at_.loss_sum / n, .accuracy = at_.correct / n, .lr = lr_};
  }

  void finish_epoch(double images_per_second) {
    // So that best and log never stand alone: they could not be told from another run's.
    if (at_.epoch == 0) save();
    const ProgressFields train = fields();
    at_.epoch += 1;
    average_.after_epoch(at_.epoch);
    at_.batch = at_.images = at_.correct = 0;
    at_.loss_sum = 0;
    EpochRecord record{.epoch = at_.epoch,
                       .step = at_.step,
                       .lr = lr_,
                       .train_loss = train.loss,
                       .train_top1 = train.accuracy,
                       .scaled = optimizer_->loss_scale().on(),
                       .skipped_steps = step_->skipped(),
                       .images_per_second = images_per_second};
    if (record.scaled) record.loss_scale = optimizer_->loss_scale().scale();
    const bool last = at_.epoch == config_.epochs;
    if (last || at_.epoch % config_.evaluate_every == 0) evaluate_epoch(record);
    record.seconds = seconds_since(started_);
    record.tensor_peak_bytes = memory_stats(model_.device()).peak;
    if (writer_ && at_.epoch == 1) writer_->settle();
    // The position goes last: a run that is killed repeats every epoch behind the one on disk.
    if (log_) log_->append(log_line(record, config_));
    if (ends_in_a_save(record)) save_epoch(record);
  }

  void evaluate_epoch(EpochRecord& record) {
    at_.evaluated = evaluation_->run();
    record.evaluated = at_.evaluated;
    if (average_.begun()) evaluate_average(record);
    record.best =
        data_.validation && selectable() && (at_.best_epoch == 0 || counted().top1 > at_.best.top1);
    if (!config_.quiet) print(stderr, message(record, config_));
    if (record.best) {
      at_.best = counted();
      at_.best_epoch = at_.epoch;
    }
  }

  // Epochs before there is an average that counts are none to select.
  bool selectable() const { return !average_counts() || average_.begun(); }
  bool selects(const EpochRecord& record) const {
    return selection(config_) == Selection::best ? record.best : record.evaluated && selectable();
  }

  // Where epochs are short, one a checkpoint_seconds; the first, so that output that cannot be
  // written is known early; the best, whose weights the next step changes; the last.
  bool ends_in_a_save(const EpochRecord& record) const {
    const bool best = selection(config_) == Selection::best && record.best;
    return best || at_.epoch == 1 || at_.step == total_steps_ ||
           seconds_since(epoch_saved_) > config_.checkpoint_seconds;
  }

  void save_epoch(const EpochRecord& record) {
    epoch_saved_ = Clock::now();
    const bool in_memory = config_.out.empty() && selection(config_) == Selection::best;
    if (selects(record) && (writer_ || in_memory)) {
      model_file_ = weights_alone(state(), config_, at_, images_);
      if (in_memory) keep_model_file();
    }
    save(at_.epoch == config_.epochs);
  }

  // From the next steps, which change the model's own tensors.
  void keep_model_file() {
    for (auto& [name, tensor] : model_file_.tensors) tensor = tensor.to(Device{}).clone();
  }

  // Of a training that had ended by another choice of the epoch, or in an earlier version.
  void complete_model_file() {
    const bool last = selection(config_) == Selection::last, done = at_.epoch == config_.epochs;
    if (!writer_ || writer_->wrote_model() || !last || !done || at_.epoch == 0) return;
    save_safetensors(model_weights(config_.out), weights_alone(state(), config_, at_, images_));
  }

  void evaluate_average(EpochRecord& record) {
    at_.average = average_.evaluate(*evaluation_, *loader_, at_.epoch - 1);
    record.average = at_.average;
  }

  Evaluation test_evaluation() {
    evaluation_.reset();  // and with it the memory of the validation images
    return Evaluation(model_, data_.test, eval_options());
  }

  // The test set is used here, once all epochs are done, and nowhere else.
  void select(TrainResult& result) {
    const bool best = selection(config_) == Selection::best;
    result.validation = best ? at_.best : counted();
    result.epoch = best ? at_.best_epoch : at_.epoch;
    if (result.interrupted || at_.epoch < config_.epochs || at_.epoch == 0) return;
    const bool kept = best && !config_.out.empty();
    if (kept && leads_) load_weights(model_weights(config_.out), model_);
    if (kept && config_.group) copy_from_rank_0(*config_.group, model_);
    if (best && !kept) model_.load_state(model_file_.tensors);
    if (!best && average_counts()) average_.give_to_model();
    if (config_.evaluate_test) result.test = test_evaluation().run();
    if (!log_) return;
    log_->append(log_line(result, config_));
    log_->flush();
  }

  void save(bool final = false) {
    step_->collect(at_);
    if (!writer_) return;
    require_finite(model_, at_.step - 1);
    saved_ = Clock::now();
    writer_->save(std::exchange(model_file_, {}), checkpoint(state(), config_, at_, images_),
                  final);
  }

  void save_gradients() const {
    TensorFile file;
    for (const Parameter& p : model_.parameters()) {
      if (p.var.grad().defined()) file.tensors[p.name] = p.var.float_grad();
    }
    save_safetensors(config_.save_gradients, file);
  }

  Model& model_;
  const DataSplit& data_;
  const TrainConfig config_;
  const bool leads_;  // the first rank, which writes
  StepObserver* observer_;
  const std::unique_ptr<Optimizer> optimizer_;
  std::optional<FolderLock> lock_;
  const InterruptGuard* interrupt_ = nullptr;  // of run()
  WeightAverage average_;
  std::unique_ptr<BatchSource> loader_;
  std::optional<Evaluation> evaluation_;
  std::optional<TrainStep> step_;
  std::optional<TrainTracking> log_;
  std::optional<CheckpointWriter> writer_;  // where this rank writes
  TrainedOn images_;                        // for checkpoints
  TrainPosition at_;
  TensorFile model_file_;  // until it is written; to the end where nothing is
  bool stopped_ = false;   // by a signal
  std::int64_t total_steps_ = 0;
  double lr_ = 0;
  Clock::time_point started_, saved_, epoch_saved_;  // the last by its end
};

// The last checkpoint is whole whatever happened; says so where there is one.
std::string resumable(const std::string& message, const TrainConfig& config) {
  const std::string last = last_weights(config.out);
  if (config.out.empty() || !std::filesystem::exists(last)) return message;
  return fmt::format("{}; the run can be resumed from '{}' (hint: --resume)", message, last);
}

}  // namespace

std::int64_t steps_per_epoch(std::int64_t images, std::int64_t batch) {
  return images % batch == 1 ? images / batch : ceil_div(images, batch);
}

TrainResult train(Model& model, const DataSplit& data, const TrainConfig& config,
                  StepObserver* observer) {
  validate(config);
  if (config.launch) require_launch_mode(*config.launch, model.device());
  require_match(model, *data.train, "training");
  require_match(model, *data.test, "test");
  if ((config.validation > 0) != (data.validation != nullptr)) {
    throw ConfigError("training 'validation': expected data with it held out, and only then");
  }
  if (!config.out.empty()) by_rank_0(config.group, [&] { require_usable(config); });
  // In a handler the run is gone, and with it its memory.
  try {
    return Run(model, data, config, observer).run();
  } catch (const OutOfMemory& error) {
    model.zero_grad();
    Context::current(model.device()).release_scratch();
    const LaunchMode launch = config.launch.value_or(default_launch_mode(model.device()));
    const std::int64_t parts = parts_of_batch(config);
    // An average, and beside it the weights while it is evaluated.
    const int kept = kept_tensors(config.optimizer.kind) + 2 * averages(config) +
                     GradientSum::kept(config.group, parts);
    const std::int64_t fits = estimated_batch(model, Work::training, launch, kept);
    throw_with_batch(error, std::min(fits, config.batch / parts - 1) * parts,
                     config.group ? 0 : estimated_parts(model, launch, kept, config.batch));
  } catch (const DeviceError& error) {
    throw DeviceError(resumable(error.what(), config));
  }
}

}  // namespace hac
