#pragma once
// What run and compare share: an experiment from its recipe to the page of its report.

#include "scaling/experiment/experiment.h"

namespace hac {

inline constexpr const char* device_model_help =
    "latencies of a device that is not here: tx2, xavier, orin, a100, h100, desktop-cpu or the "
    "file of a profile, with :eager or :graph; trainings are real, only the latency is modelled";
inline constexpr const char* trainings_help =
    "folder of results of trained networks, shared by several runs: what is found there is not "
    "trained again, and no weights are kept; default OUT/networks, with weights";

// Before anything is done. Throws ConfigError for no folder, IoError for one that cannot be made.
void require_results_folder(const std::string& out);
// Runs it, writes OUT/report/index.html and prints the result table, or results.json.
void run_and_report(const Recipe& recipe, const ExperimentOptions& options, bool json);

}  // namespace hac
