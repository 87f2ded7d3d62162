#pragma once
// The whole of HACScale as a resumable value: each stage is a function of the recipe and of earlier
// results, writes its own result before the next starts, and is skipped when the result of the same
// inputs is already there. A killed run resumes where it was; a changed recipe redoes only what
// depends on the change.
//
//   DIR/recipe.json  DIR/stages/NAME.json  DIR/networks/KEY/  DIR/latency_model.json
//   DIR/plan-METHOD.json  DIR/results.json  DIR/chosen.json  DIR/architecture-METHOD.json

#include <string>

#include "models/model.h"
#include "scaling/experiment/chosen_networks.h"
#include "scaling/experiment/recipe.h"
#include "scaling/experiment/results.h"
#include "scaling/experiment/training_tasks.h"

namespace hac {

struct ExperimentOptions {
  std::string out;      // DIR
  std::string command;  // as the user typed it, for the report
  bool quiet = false;
  TensorOptions where;          // what is trained and measured
  bool allow_unsteady = false;  // take times that a busy machine disturbed for the budget as well
  // The folder of trained networks instead of DIR/networks: what is found there is not trained
  // again, wherever it was trained.
  std::string trainings = "";
  bool keep_weights = true;  // of the networks of the result table; else their results alone
  // False: trainings are done elsewhere (run_task), and where some are missing, those that can
  // start now are numbered in DIR/tasks.json and thrown as TrainingsMissing. Everything else is
  // done.
  bool train = true;
};

// Writes DIR/results.json. Throws Error, also when another process works in DIR, when
// the machine stays too busy to be measured and when Ctrl-C stopped it (everything is saved; the
// same command resumes).
Results run_experiment(const Recipe& recipe, const ExperimentOptions& options);
// The same as far as the choice: no network of the result table is trained or measured. Writes
// DIR/chosen.json and DIR/architecture-METHOD.json; run_experiment() goes on from there.
ChosenNetworks choose_networks(const Recipe& recipe, const ExperimentOptions& options);

// The trainings that can start now, by what is known in DIR; numbers them in DIR/tasks.json. Trains
// and measures nothing: where no latency model is known yet, what waits for it is missing.
struct TaskList {
  std::vector<TrainingTask> next;     // the longest first
  std::int64_t finished = 0;          // of those that were ever listed
  bool measured = false;              // a latency model is known
  double seconds_per_gmac = unknown;  // the median of the finished ones, CPU time
};
TaskList list_tasks(const Recipe& recipe, const ExperimentOptions& options);

// One task of DIR/tasks.json, in the folder of trainings and nowhere else; as many processes as
// there are tasks may do so at once. Throws ConfigError where there is no such task, or it was
// listed for other data or another device; what train() throws; TrainingsMissing where a search
// depends on some.
struct TaskResult {
  TrainingTask task;
  bool was_done = false;  // and is not done again
  double top1 = unknown;  // of one training, on the test set, else on the validation images
  SearchCost cost = {};
};
TaskResult run_task(const Recipe& recipe, const ExperimentOptions& options, std::int64_t number);

std::string trainings_of(const ExperimentOptions& options);  // the folder of trained networks

}  // namespace hac
