#pragma once
// The average of a training's weights, kept beside them: over all steps with weights that decay
// (EMA, torchvision's ExponentialMovingAverage), or over the ends of the last epochs, each as much
// (SWA: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI
// 2018; torch.optim.swa_utils). What batch norms know of their inputs belongs to other weights, so
// their statistics are found again for the average, on training images (update_bn there).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/loader/loader.h"
#include "engine/tensor/tensor.h"
#include "models/model.h"
#include "models/train/evaluate.h"
#include "models/train/train_config.h"

namespace hac {

class WeightAverage {
 public:
  // Outlived by both. Of EMA it begins as the model is. Neither --ema nor --swa: nothing is kept.
  WeightAverage(Model& model, const TrainConfig& config);

  bool begun() const { return count_ > 0; }  // SWA: with the first epoch that counts
  void after_step();
  void after_epoch(std::int64_t epoch);  // from 1

  // The average on the set of `evaluation`, with statistics from the first most_batches of an epoch
  // of the loader, in the parts of a step. The model is left as it was, the loader stopped.
  EvalResult evaluate(Evaluation& evaluation, BatchSource& loader, std::int64_t epoch);
  static constexpr std::int64_t most_batches = 100;

  // The average under the names of a model's state, with the statistics that were last found.
  std::map<std::string, Tensor> weights() const;
  void give_to_model() const;

  // For a checkpoint: "average.conv1.weight", and "average.count", one i32; empty where off.
  std::map<std::string, Tensor> state() const;
  // Throws IoError if it does not fit.
  void load_state(const std::map<std::string, Tensor>& state);

 private:
  void add(float weight);

  Model& model_;
  const double ema_, swa_begin_;  // decay; epochs before the first that counts
  const std::int64_t parts_;
  std::map<std::string, Tensor> average_;  // of the model's state()
  std::int64_t count_ = 0;                 // what it is an average of: steps or epochs
};

inline constexpr std::string_view average_prefix = "average.";  // in checkpoints

// Running statistics as the mean over these batches, of each batch as training would normalise it
// (torch.optim.swa_utils.update_bn). A network without batch norms is not run.
void recompute_statistics(Model& model, BatchSource& loader, std::int64_t epoch,
                          std::int64_t most_batches, std::int64_t parts);

}  // namespace hac
