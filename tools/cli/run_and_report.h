#pragma once
// What run and compare share: an experiment from its recipe to the page of its report.

#include <cstdint>
#include <optional>

#include "scaling/experiment/experiment.h"
#include "tools/cli/latency_models.h"
#include "tools/cli/options.h"

namespace hac {

struct RunOptions {
  ExperimentOptions experiment;
  std::string latency_model, device_model;  // over the recipe's
  bool foreign_latency = false, networks_only = false;
  bool list_tasks = false, merge = false;
  std::optional<std::int64_t> task;
  MachineOptions machine;
  bool json = false;

  Fields fields() {  // but the machine's
    return Fields()
        .add("out", experiment.out, "folder of the results; the same command resumes there",
             {.type = "DIR"})
        .add("latency_model", latency_model,
             "a saved model instead of measuring one: device.json of latency-table",
             {.type = "FILE"})
        .add("foreign_latency", foreign_latency, "take one of another device too")
        .add("device_model", device_model,
             std::string(device_model_help) + "; trainings are real, only the latency is modelled",
             {.type = "NAME"})
        .add("trainings", experiment.trainings,
             "folder of results of trained networks, shared by several runs: what is found there "
             "is not trained again, and no weights are kept; default OUT/networks, with weights",
             {.type = "DIR"})
        .add("networks_only", networks_only,
             "end when the networks are chosen, with OUT/chosen.json and an architecture of each: "
             "nothing is trained but what the methods ask for while they search")
        .add("list_tasks", list_tasks,
             "print the trainings that can start now, each a task with a number that stays, the "
             "longest first; the last line names them for sbatch --array: next: 1-3,7")
        .add("task", task, {1},
             "do this one of them and nothing else; as many processes as there are tasks may run "
             "at once, on any machine that sees OUT",
             {.type = "N"})
        .add("merge", merge,
             "do all that needs no training, timing included; where trainings are missing, list "
             "them as --list-tasks does and end with exit code 75")
        .add("quiet", experiment.quiet, "no progress")
        .add("allow_unsteady", experiment.allow_unsteady,
             "choose networks by times that a busy machine disturbed, instead of waiting for it "
             "(pauses of two minutes in all) and giving up; for shared machines such as CI");
  }
};

// Runs it, writes OUT/report/index.html and prints the result table, or results.json; of networks
// alone their table, or chosen.json. Of tasks what run_tasks.h says; several processes that a
// launcher started share the trainings (task_farm.h). Throws ConfigError for no OUT, IoError for
// one that cannot be made, before anything is done.
void run_and_report(Recipe recipe, RunOptions options, const std::string& command);

}  // namespace hac
