#pragma once
// An experiment whose trainings are done one by one, by whatever starts processes.

#include <cstdint>
#include <string>

#include "scaling/experiment/experiment.h"

namespace hac {

// --list-tasks: what can be trained now, as a table that ends with "next: 1-3,7", or JSON.
void print_tasks(const TaskList& list, const ExperimentOptions& options, bool json);

// --task: one of them.
void run_and_print_task(const Recipe& recipe, const ExperimentOptions& options, std::int64_t number,
                        bool json);

}  // namespace hac
