#pragma once
// An experiment as far as its choice: the latency model, alpha, the laws, and what each method
// makes of the baseline. Private to this folder.

#include <cstdint>
#include <string>
#include <vector>

#include "models/train/train_config.h"
#include "scaling/experiment/experiment.h"
#include "scaling/experiment/experiment_latency.h"
#include "scaling/experiment/experiment_training.h"

namespace hac {

class ExperimentChoice {
 public:
  // Both outlive it.
  ExperimentChoice(const Recipe& recipe, const ExperimentOptions& options);

  // What can be trained now: trains and measures nothing.
  TaskList tasks();
  // Does the trainings that this method asks for while it searches. What it depends on is there, or
  // TrainingsMissing is thrown; ConfigError where the task was listed for another question.
  SearchCost search(const TrainingTask& task);

 protected:
  // The networks of the result table, the baseline first, and what led to them. Where it may not
  // train, without those that wait for trainings, which are in missing_ then.
  std::vector<ScaledNetwork> choose(Results& results);
  // What of these networks may not be trained here, too.
  void require_trained(const std::vector<ScaledNetwork>& networks);

  bool modelled() const { return !recipe_.latency.device_model.empty(); }
  Dtype latency_dtype() const { return recipe_.latency.dtype.value_or(options_.where.dtype); }

 private:
  bool needs_laws() const;
  std::vector<LatencyFit> set_latency_model();
  bool load_kept_latency_model();
  void set_budget();
  void find_laws(Results& results);
  std::vector<ScaledNetwork> scaled_networks();
  void add_scaled(const Method& method, std::vector<ScaledNetwork>& all);
  ScaledNetwork uniform_of_equal_params(const std::vector<ScaledNetwork>& all) const;
  ScalingTask scaling_task() const;  // without budget and trainings
  Budget budget_of(const Method& method) const;
  TrainingTask search_task(const Method& method) const;
  void add_missing(const TrainingsMissing& missing);

 protected:
  const Recipe& recipe_;
  const ExperimentOptions& options_;
  MeasuredOn measured_on_;
  StageCache stages_;
  DataSplit data_;
  std::string data_key_;
  NetworkCache networks_;
  ExperimentTraining training_{recipe_, data_key_, options_.out, options_.keep_weights,
                               stages_, networks_};
  Architecture baseline_;
  std::vector<Architecture> others_;                // of the utilization figure
  std::vector<std::vector<std::int64_t>> samples_;  // widths to measure importance at
  LatencyModelPtr model_;
  Budget budget_;
  std::vector<ImportanceLaw> laws_;
  std::int64_t resolution_ = 0;        // of N(1, r, 1)
  bool laws_wait_ = false;             // for trainings
  std::vector<TrainingTask> missing_;  // trainings that can start now
  std::vector<std::string> left_out_;  // methods, and why
  std::string importance_note_;
  SearchCost law_cost_;        // of the search for alpha and of the importance
  std::int64_t unsteady_ = 0;  // networks of the latency model that a busy machine disturbed
};

}  // namespace hac
