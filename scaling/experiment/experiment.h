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
};

// Writes DIR/results.json. Throws Error, also when another process works in DIR, when
// the machine stays too busy to be measured and when Ctrl-C stopped it (everything is saved; the
// same command resumes).
Results run_experiment(const Recipe& recipe, const ExperimentOptions& options);
// The same as far as the choice: no network of the result table is trained or measured. Writes
// DIR/chosen.json and DIR/architecture-METHOD.json; run_experiment() goes on from there.
ChosenNetworks choose_networks(const Recipe& recipe, const ExperimentOptions& options);

}  // namespace hac
