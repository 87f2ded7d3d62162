#pragma once
// The training loop: plain code from top to bottom, resumable at any step.

#include <functional>
#include <map>
#include <string>

#include "data/datasets.h"
#include "engine/optim/schedule.h"
#include "engine/optim/sgd.h"
#include "models/model.h"

namespace hac {

struct TrainConfig {
  DataConfig data;
  std::int64_t epochs = 10;
  std::int64_t batch = 128;
  SgdOptions sgd;
  ScheduleConfig schedule;
  float label_smoothing = 0;
  bool augment = true;
  bool shuffle = true;
  std::uint64_t seed = 0;
  std::int64_t max_steps = -1;  // stop early after this many steps; -1 = no
  std::string out;              // run directory; empty = nothing is written
  bool resume = false;
  bool quiet = false;
};

// Watches training from outside the loop: importance is one. Called after backward and before the
// update, when every parameter has its gradient.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void observe(const Model& model, std::int64_t step, std::int64_t total_steps) = 0;
  // What a checkpoint must hold for the observation to continue; names start with "observer.".
  virtual std::map<std::string, Tensor> state() const = 0;
  virtual void load_state(const std::map<std::string, Tensor>& state) = 0;
};

struct EvalResult {
  double loss = 0;
  double top1 = 0;  // fraction
  double top5 = 0;
  std::int64_t images = 0;
};

struct TrainResult {
  EvalResult test;       // of the last epoch
  double best_top1 = 0;  // over epochs
  std::int64_t steps = 0;
  bool interrupted = false;  // Ctrl-C: saved, can resume
};

// Writes out/{config.json, architecture.json, log.jsonl, last.safetensors, best.safetensors}.
// Throws Error when the loss is not finite, naming the first layer.
TrainResult train(Model& model, const TrainConfig& config, StepObserver* observer = nullptr);

EvalResult evaluate(Model& model, const DatasetPtr& data, std::int64_t batch = 256);

}  // namespace hac
