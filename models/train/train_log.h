#pragma once
// What a training says of itself: the lines of log.jsonl and of stderr.

#include <optional>
#include <string>

#include "models/train/evaluate.h"
#include "models/train/train_config.h"

namespace hac {

struct TrainPosition;
struct TrainResult;

struct EpochRecord {
  std::int64_t epoch = 0, step = 0;  // finished so far
  double lr = 0;                     // of the last step
  double train_loss = 0, train_top1 = 0;
  std::optional<EvalResult> evaluated;  // on the set of evaluated_set()
  std::optional<EvalResult> average;    // the same of the averaged weights
  bool best = false;                    // the highest top-1 so far on the validation images
  bool scaled = false;                  // with a loss scale
  double loss_scale = 0;
  std::int64_t skipped_steps = 0;
  double images_per_second = 0, seconds = 0;
  std::size_t tensor_peak_bytes = 0;
};

// {"type": "epoch", ...}.
std::string log_line(const EpochRecord& record, const TrainConfig& config);
// "epoch 3/20  validation loss 0.1234  top-1 56.00 %  best".
std::string message(const EpochRecord& record, const TrainConfig& config);

// {"type": "result", "select": "best", "epoch": 3, ..., "accuracy": shown_accuracy()}: the test
// set's one evaluation, of the selected weights; without where it was left out.
std::string log_line(const TrainResult& result, const TrainConfig& config);

// A resumed run with another number of epochs, where the schedule depends on it.
struct ScheduleChange {
  std::int64_t step = 0;  // the next one
  std::int64_t epochs_before = 0;
  double rate_before = 0, rate = 0;  // of the last step, of the next one
};
// None where the rate of the next step is what it would have been.
std::optional<ScheduleChange> schedule_change(const TrainConfig& config, const TrainPosition& at,
                                              std::int64_t steps_per_epoch);
std::string log_line(const ScheduleChange& change, const TrainConfig& config);
std::string message(const ScheduleChange& change, const TrainConfig& config);

}  // namespace hac
