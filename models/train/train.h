#pragma once
// The training loop: plain code from top to bottom, resumable at any step.

#include <map>
#include <string>

#include "data/sets/datasets.h"
#include "kernels/core/error.h"
#include "models/model.h"
#include "models/train/evaluate.h"
#include "models/train/train_config.h"

namespace hac {

// Watches training from outside the loop: importance is one. Called after backward and before the
// update, when every parameter has its gradient.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual bool wants(std::int64_t step, std::int64_t total_steps) const = 0;
  // Work of the device, so that a captured step can hold it: recorded once, run at each replay.
  // skip: if its first i32 is not 0, the gradients are not to be used (LossScale); or undefined.
  virtual void accumulate(const Model& model, const Tensor& skip = {}) = 0;
  // Once a step that was accumulated and not skipped.
  virtual void count_step() = 0;
  // What a checkpoint must hold for the observation to continue.
  virtual std::map<std::string, Tensor> state() const = 0;
  virtual void load_state(const std::map<std::string, Tensor>& state) = 0;
};

struct TrainResult {
  // Of the selected epoch, once all are done. Where nothing is held out: of the last epoch so far.
  EvalResult test;
  EvalResult validation;  // of the selected epoch; no images where nothing is held out
  // Both of the weights that count. Of the last evaluated epoch, on evaluated_set(), and where an
  // average is kept:
  EvalResult plain, average;
  std::int64_t epoch = 0;  // the selected one, from 1
  std::int64_t steps = 0;
  bool interrupted = false;  // by a signal: everything is saved, --resume continues
};

// A signal (models/train/interrupt.h) ended the work early; what was done is saved. Exit code 130.
class Interrupted : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 130; }
};

// A last batch of one image is left out: batch norm would have nothing to normalise over.
std::int64_t steps_per_epoch(std::int64_t images, std::int64_t batch);

// Writes the files of models/train/run_folder.h to `out`: one JSON line an epoch; a checkpoint
// every config.checkpoint_seconds, at the end of every epoch that is longer, and with the best
// epoch, the first and the last; the weights that count with it when an evaluation says so. They
// are written while the training goes on (models/train/checkpoint_writer.h); on return, or where it
// throws, the last of them is. With config.resume it continues from last.safetensors, bit for bit
// as if it had never stopped. With config.validation, `data` is that of hold_out(): its validation
// part is evaluated every epoch; the test set is evaluated once, at the end, with the weights of
// config.select, which the model then has. Without, it is evaluated every epoch, and nothing is
// selected by it. Throws ConfigError when the data do not fit the model, the checkpoint is of
// another run, or another training in `out` would be lost (models/train/run_folder.h), IoError when
// another process works in `out`, and Error when the loss or a batch norm's statistics are not
// finite, naming the first layer; the last checkpoint stays. An OutOfMemory estimates a batch that
// fits (models/train/batch_estimate.h). When a device fails the DeviceError names the checkpoint to
// resume from.
TrainResult train(Model& model, const DataSplit& data, const TrainConfig& config,
                  StepObserver* observer = nullptr);

}  // namespace hac
