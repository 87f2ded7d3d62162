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

  // How the run is kept and shown; these do not change what is learned.
  std::string out;  // run directory; empty = nothing is written
  bool resume = false;
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

// The fields that decide what is learned, as one JSON object.
std::string to_json(const TrainConfig& config);

}  // namespace hac
