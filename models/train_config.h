#pragma once
// Everything that decides how a network is trained. Its JSON is saved beside the run, compared when
// a run is resumed, and part of the key under which a trained network is cached.

#include <cstdint>
#include <optional>
#include <string>

#include "data/datasets.h"
#include "engine/capture.h"
#include "engine/optim/schedule.h"
#include "engine/optim/sgd.h"

namespace hac {

struct TrainConfig {
  DataConfig data;
  std::int64_t epochs = 10;
  std::int64_t batch = 128;
  SgdOptions sgd;
  ScheduleConfig schedule;
  double label_smoothing = 0;
  bool augment = true;
  double mixup = 0;          // alpha of lambda ~ Beta(alpha, alpha), a step; 0 = off
  Dtype dtype = Dtype::f32;  // of activations; train() takes the model's
  // In f16, where the dynamic scale of the loss begins: a power of two, 0 = no scale.
  double loss_scale = 65536;
  bool shuffle = true;
  std::uint64_t seed = 0;
  std::int64_t max_steps = -1;  // stop after this many steps; -1 = run all epochs
  // Images held out of the training set (data/holdout.h): a fraction below 1, or a number of them.
  double validation = 0;
  std::string select;  // best | last, the epoch that counts; empty: best if images are held out

  // How the run is kept and shown; these do not change what is learned.
  std::string out;  // run directory; empty = nothing is written
  bool resume = false;
  bool overwrite = false;     // what an earlier training left in `out`
  bool evaluate_test = true;  // at the end; without a validation part always, and at every epoch
  bool quiet = false;
  std::string label;                // shown before the progress line
  std::int64_t evaluate_every = 1;  // epochs; the last one always is
  double checkpoint_seconds = 60;
  std::optional<LaunchMode> launch;  // none: default_launch_mode() of the model's device
  std::string save_gradients;        // after the last step, every parameter's gradient by name
};

// Throws ConfigError naming the field.
void validate(const TrainConfig& config);

// 0 in any type but f16.
double initial_loss_scale(const TrainConfig& config, Dtype dtype);

// "best": the epoch with the highest top-1 on the held-out images, the first of equal ones. "last":
// the last one. The test set selects nothing.
std::string selection(const TrainConfig& config);
// What epochs are evaluated on: "validation", or "test" where nothing is held out.
const char* evaluated_set(const TrainConfig& config);
// What an accuracy on a set is: "test top-1 of the epoch selected by validation".
std::string shown_accuracy(const TrainConfig& config, const std::string& set);

// The fields that decide what is learned, and which epoch counts, as one JSON object.
std::string to_json(const TrainConfig& config);

}  // namespace hac
