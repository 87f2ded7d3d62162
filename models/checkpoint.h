#pragma once
// What a run needs to go on: weights and statistics under their PyTorch names, "momentum.*",
// "observer.*", and as metadata the architecture, the training, the position, the class names and
// the preprocessing. A checkpoint is a function of the training alone: it holds no time and no
// path (but that of imagefolder:DIR, which is the set's name), so equal runs write equal files.

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
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
  EvalResult test;  // of the last finished epoch
};

// How images became the network's input, and what its outputs are called: what inference needs.
struct Preprocessing {
  std::string data;             // name of the set
  std::int64_t channels = 0;    // of its images
  std::int64_t resolution = 0;  // their native size, before resizing to the network's
  Normalization normalization;
  std::vector<std::string> classes;
};

// `data` is the training set; without it the checkpoint carries no preprocessing.
void save_checkpoint(const std::string& path, const Model& model, const Sgd& sgd,
                     const TrainConfig& config, const TrainPosition& position,
                     const StepObserver* observer, const Dataset* data = nullptr);

// Throws ConfigError when the checkpoint was made by another architecture or another training
// (naming the first difference; epochs may differ), IoError when the file is damaged.
TrainPosition load_checkpoint(const std::string& path, Model& model, Sgd& sgd,
                              const TrainConfig& config, StepObserver* observer);

// The architecture that a checkpoint carries in its metadata. Throws IoError if it has none or it
// does not validate.
Architecture checkpoint_architecture(const std::string& path);
// Throws IoError if the checkpoint carries none or it is malformed.
Preprocessing checkpoint_preprocessing(const std::string& path);

}  // namespace hac
