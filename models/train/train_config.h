#pragma once
// Everything that decides how a network is trained. Its JSON is saved beside the run, compared when
// a run is resumed, and part of the key under which a trained network is cached.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/image/transforms.h"
#include "data/sets/datasets.h"
#include "engine/device/capture.h"
#include "engine/optim/optimizer.h"
#include "engine/optim/schedule.h"

namespace hac {

class Group;

// The epoch that counts: the first with the highest top-1 on the held-out images, or the last one.
// The test set selects nothing.
enum class Selection : std::uint8_t { best, last };
template <>
inline constexpr std::string_view enum_names<Selection>[] = {"best", "last"};

// Of a training that keeps an average of its weights (models/train/weight_average.h).
enum class WeightSelection : std::uint8_t { plain, average };
template <>
inline constexpr std::string_view enum_names<WeightSelection>[] = {"plain", "average"};

// What is written beside the JSON lines of a training.
enum class LogFormat : std::uint8_t { tensorboard, csv };
template <>
inline constexpr std::string_view enum_names<LogFormat>[] = {"tensorboard", "csv"};

struct TrainConfig {
  // What decides what is learned.
  DataConfig data;
  std::int64_t epochs = 10;
  std::int64_t batch = 128;
  std::int64_t accumulate = 1;  // parts that a batch is computed in (models/train/batch_parts.h)
  bool sync_batchnorm = false;  // of several ranks, each of which then computes one part
  OptimizerOptions optimizer;
  ScheduleConfig schedule;
  double label_smoothing = 0;
  bool augment = true;
  TrainTransforms transforms;
  double mixup = 0, cutmix = 0;  // alpha of lambda ~ Beta(alpha, alpha), a step; 0 = off
  Dtype dtype = Dtype::f32;      // of activations; train() takes the model's
  // In f16, where the dynamic scale of the loss begins: a power of two, 0 = no scale.
  double loss_scale = 65536;
  bool shuffle = true;
  std::uint64_t seed = 0;
  std::int64_t max_steps = -1;  // stop after this many steps; -1 = run all epochs
  // Images held out of the training set (data/sets/holdout.h): a fraction below 1, or a number of
  // them.
  double validation = 0;
  std::optional<Selection> select;  // none: best if images are held out
  double ema = 0;                   // decay, a step, of the average of the weights; 0 = off
  double swa = 0;  // share of the epochs before the first that is averaged; 0 = off
  std::optional<WeightSelection> select_weights;  // none: average if there is one

  // How the run is kept and shown; these do not change what is learned.
  std::string out;         // run directory; empty = nothing is written
  Group* group = nullptr;  // the ranks that each compute some parts of a batch; null: one process
  bool resume = false;
  bool overwrite = false;     // what an earlier training left in `out`
  bool evaluate_test = true;  // at the end; without a validation part always, and at every epoch
  bool quiet = false;
  std::string label;                 // shown before the progress line
  std::int64_t evaluate_every = 1;   // epochs; the last one always is
  std::vector<LogFormat> log;        // in `out`, besides log.jsonl
  double checkpoint_seconds = 60;    // within epochs, and between ends of short ones
  std::optional<LaunchMode> launch;  // none: default_launch_mode() of the model's device
  std::string save_gradients;        // after the last step, every parameter's gradient by name

  static constexpr int not_in_recipes = FieldDetails::json | FieldDetails::options;
  Fields fields() {
    return Fields()
        .add("data", data)
        .add("epochs", epochs, {0, 100000}, "passes over the training set")
        .add("batch", batch, {1, 65536}, "images a step")
        .add("accumulate", accumulate, {1, 65536},
             "compute each batch in this many parts, whose gradients add up, to save memory; batch "
             "norm normalises over a part",
             {.type = "PARTS", .omit = accumulate == 1})
        .add("sync_batchnorm", sync_batchnorm,
             "on several ranks: batch norm normalises over the whole batch, not over a rank's part",
             {.omit = !sync_batchnorm, .in = not_in_recipes})
        .add(optimizer.fields())
        .add("schedule", schedule)
        .add("label_smoothing", label_smoothing, {.low = 0, .high = 1, .below = true},
             "share of the target spread over all classes")
        .add("augment", augment, "standard = random crop and flip",
             {.off_on = {"none", "standard"}})
        .add("transforms", transforms, {.omit = transforms == TrainTransforms{}})
        .add("mixup", mixup, {0, 100}, "mix pairs of images, shares ~ Beta(ALPHA, ALPHA); 0 = off",
             {.type = "ALPHA", .omit = mixup == 0})
        .add("cutmix", cutmix, {0, 100},
             "paste boxes between pairs of images, areas 1 - Beta(ALPHA, ALPHA); 0 = off; with "
             "mixup too, one of both is drawn a step",
             {.type = "ALPHA", .omit = cutmix == 0})
        .add("dtype", dtype, "", {.omit = dtype == Dtype::f32, .in = FieldDetails::json})
        .add("loss_scale", loss_scale, {0, 0x1p30},
             "with --dtype f16: where it begins, a power of two; 0 = off",
             {.omit = dtype != Dtype::f16, .in = not_in_recipes})
        .add("shuffle", shuffle, "off = images in file order", {.off_on = {"off", "on"}})
        .add("seed", seed, "of weights, order and augmentation", {.in = not_in_recipes})
        .add("validation", validation, {0},
             "hold out this part of the training set to select the epoch by: 0.1, or a number "
             "of images; the test set is then used once, at the end; 0 = none",
             {.omit = validation == 0})
        .add("select", select,
             "the epoch that counts: best on the validation images (the default with "
             "--validation), or last (as papers on CIFAR do)",
             {.optional = true})
        .add("ema", ema, {.low = 0, .high = 1, .below = true},
             "keep an average of the weights that decays by this, a step; 0 = off",
             {.type = "DECAY", .omit = ema == 0})
        .add("swa", swa, {.low = 0, .high = 1, .below = true},
             "keep the mean of the weights at the ends of the epochs behind this share of them "
             "(SWA); 0 = off",
             {.type = "START", .omit = swa == 0})
        .add("select_weights", select_weights,
             "the weights that count, for the best epoch and the result: average (the default "
             "with --ema and --swa) or plain; both are evaluated and kept",
             {.omit = !select_weights, .optional = true})
        .add("max_steps", max_steps, {-1},
             "stop after N steps; 0 writes the initial checkpoint; -1 = after all epochs",
             {.in = FieldDetails::options})
        .add("save_gradients", save_gradients, "write the last step's gradients by name",
             {.type = "FILE", .in = FieldDetails::options})
        .add("checkpoint_seconds", checkpoint_seconds, {0},
             "seconds between checkpoints; ends of shorter epochs have none, but for the best one "
             "and the last",
             {.type = "SECONDS", .in = FieldDetails::options})
        .add("log", log,
             "beside log.jsonl: tensorboard (event files for tensorboard --logdir), csv (log.csv)",
             {.type = "FORMATS", .in = FieldDetails::toml | FieldDetails::options})
        .add("evaluate_every", evaluate_every, {1}, "", {.in = 0});
  }
};

// Throws ConfigError naming the field.
void validate(const TrainConfig& config);

// 0 in any type but f16.
double initial_loss_scale(const TrainConfig& config, Dtype dtype);

// accumulate, or with sync_batchnorm one a rank.
std::int64_t parts_of_batch(const TrainConfig& config);
Selection selection(const TrainConfig& config);
bool averages(const TrainConfig& config);  // with --ema or --swa
bool mixes(const TrainConfig& config);     // with --mixup or --cutmix
WeightSelection weight_selection(const TrainConfig& config);
// What epochs are evaluated on: "validation", or "test" where nothing is held out.
const char* evaluated_set(const TrainConfig& config);
// What an accuracy on a set is: "test top-1 of the epoch selected by validation".
std::string shown_accuracy(const TrainConfig& config, const std::string& set);

// The fields that decide what is learned, and which epoch counts, as one JSON object.
std::string to_json(const TrainConfig& config);

}  // namespace hac
