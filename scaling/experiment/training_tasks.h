#pragma once
// The trainings of an experiment as a list of tasks that other processes take, one each, in any
// order: the result of each lies in its keyed folder, and the list is a file of numbers that never
// change. Trainings depend on one another, so tasks become known in waves: the importance waits for
// alpha, the chosen networks for both.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "kernels/core/error.h"
#include "models/arch/architecture.h"
#include "models/train/train_config.h"
#include "scaling/stats.h"

namespace hac {

struct TrainingRequest {
  Architecture arch;
  TrainConfig config;
  bool observe = false;  // importance, over the last epoch
  bool keep_weights = false;
  // False for what is only compared with others: that is what validation images are for. Where none
  // are held out the test set has to serve.
  bool test = true;
  std::string label;  // for the progress line
};

struct TrainingTask {
  std::int64_t number = 0;  // of the list, from 1
  std::string key;          // of the training's folder; of a search: what it depends on
  std::string name;         // "sample 1/5 seed 1"
  // The key of a method that trains while it searches: one task, because each of its trainings
  // depends on the one before. Of one training "".
  std::string search;
  // Arithmetic of all its epochs, 1e9 multiply-accumulates; of a search unknown, and taken for the
  // longest.
  double gmacs = unknown;
  TrainingRequest request{};  // of a search: the baseline and the first of its trainings

  Fields fields() { return HAC_FIELDS(number, key, name, search, gmacs); }  // but the request
};

// Forward and backward for each training image, forward for each that is evaluated.
double training_gmacs(const TrainingRequest& request, std::int64_t train_images,
                      std::int64_t evaluated_images);

// Which are to be started first: a search, then the one with most arithmetic. Equal ones stay in
// order. So that no long one is left for the end, when other workers have nothing to do.
void longest_first(std::vector<TrainingTask>& tasks);

// "1-3,7,9-12", as sbatch --array and the like take them; "" of none.
std::string number_ranges(std::vector<std::int64_t> numbers);

// DIR/tasks.json: every task that was ever listed in this folder.
std::string task_file(const std::string& out);
// None where there is no list. Throws ConfigError where it is none of this program's, IoError. What
// the tasks do not say of their data is that of `training`.
std::vector<TrainingTask> load_tasks(const std::string& out, const TrainConfig& training);
// Gives each task its number: its old one, or the next ones, the longest first. Writes the list.
void number_tasks(const std::string& out, const TrainConfig& training,
                  std::vector<TrainingTask>& tasks);

// The work cannot go on without these. Exit code 75, which scripts tell from a failure
// (EX_TEMPFAIL).
class TrainingsMissing : public Error {
 public:
  explicit TrainingsMissing(std::vector<TrainingTask> missing);
  int exit_code() const override { return 75; }

  std::vector<TrainingTask> tasks;  // that can start now
};

}  // namespace hac
