#pragma once
// What a run needs to go on: weights and statistics under their PyTorch names, "momentum.*",
// "observer.*", and the position as metadata.

#include <cstdint>
#include <string>

#include "engine/optim/sgd.h"
#include "models/model.h"
#include "models/train.h"

namespace hac {

// Where in training a checkpoint was taken, with what the current epoch has summed so far.
struct TrainPosition {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::int64_t batch = 0;  // batches of this epoch already done
  std::int64_t images = 0, correct = 0;
  double loss_sum = 0;
  double best_top1 = -1;
  double seconds = 0;  // of training so far
  EvalResult test;     // of the last finished epoch
};

void save_checkpoint(const std::string& path, const Model& model, const Sgd& sgd,
                     const TrainConfig& config, const TrainPosition& position,
                     const StepObserver* observer);

// Throws ConfigError when the checkpoint was made by another architecture or another training
// (naming the first difference; epochs may differ), IoError when the file is damaged.
TrainPosition load_checkpoint(const std::string& path, Model& model, Sgd& sgd,
                              const TrainConfig& config, StepObserver* observer);

// The network alone, from any checkpoint or PyTorch export: momentum and observers are ignored, and
// so is num_batches_tracked.
void load_weights(const std::string& path, Model& model);

// The architecture that a checkpoint carries in its metadata. Throws IoError if it has none.
Architecture checkpoint_architecture(const std::string& path);

}  // namespace hac
