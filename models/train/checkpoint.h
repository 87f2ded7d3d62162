#pragma once
// What a run needs to be resumed: weights and statistics under their PyTorch names, "momentum.*"
// and other states of the optimiser, "observer.*", "average.*" (models/train/weight_average.h), and
// as metadata the architecture, the training, the position and the data: class names,
// preprocessing, which images. And what others need of it: the weights alone, with the same
// metadata. "format": "pt" is what Hugging Face's loaders ask for. Both are functions of the
// training alone: they hold no time and no path (but that of imagefolder:DIR or packed:FILE, the
// set's name), so equal runs write equal files.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "engine/io/safetensors.h"
#include "engine/optim/optimizer.h"
#include "models/model.h"
#include "models/train/train.h"
#include "models/train/trained_on.h"
#include "models/train/weight_average.h"

namespace hac {

// Where in training a checkpoint was taken, with what the current epoch has summed so far.
struct TrainPosition {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::int64_t batch = 0;  // batches of this epoch already done
  std::int64_t images = 0, correct = 0;
  double loss_sum = 0;
  EvalResult evaluated;         // of the last evaluated epoch, on evaluated_set()
  EvalResult average;           // the same of the averaged weights; no images where there are none
  EvalResult best;              // on the validation images
  std::int64_t best_epoch = 0;  // from 1; 0 = none yet
  std::int64_t epochs = 0;      // that the training was to have when this was saved
};

// What is trained, and beside it what training keeps.
struct Training {
  Model& model;
  Optimizer& optimizer;
  WeightAverage& average;
  StepObserver* observer;  // or null
};

// To be saved before the next step: the tensors are the model's own.
TensorFile checkpoint(const Training& training, const TrainConfig& config,
                      const TrainPosition& position, const TrainedOn& data);
// The weights that count, alone: the average's where it counts and has begun, whose metadata says
// "weights": "average".
TensorFile weights_alone(const Training& training, const TrainConfig& config,
                         const TrainPosition& position, const TrainedOn& data);

// A network that was trained elsewhere, in the same form.
TensorFile weights_alone(const Model& model, const TrainedOn& data);

// Throws ConfigError when the checkpoint was made by another architecture, another training or on
// other data (naming the first difference; epochs may differ, and where an image folder lies),
// IoError when the file is damaged.
TrainPosition load_checkpoint(const std::string& path, const Training& training,
                              const TrainConfig& config, const TrainedOn& data);

// The architecture that a checkpoint carries in its metadata. Throws IoError if it has none or it
// does not validate.
Architecture checkpoint_architecture(const std::string& path);
// Whether its metadata has one: false of what other programs write.
bool has_architecture(const std::string& path);
// The average that it keeps beside its weights, under the network's names. Throws IoError if it has
// none.
std::map<std::string, Tensor> checkpoint_average(const std::string& path);
// What it says of its data; nothing where another program wrote it. Throws IoError if malformed.
std::optional<TrainedOn> checkpoint_data(const std::string& path);

}  // namespace hac
