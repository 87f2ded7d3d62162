#pragma once
// The latency model of the device at hand, for verbs that ask what a network would take there.

#include <string>
#include <vector>

#include "scaling/latency/latency.h"
#include "scaling/latency/networks_to_time.h"

namespace CLI {
class App;
}  // namespace CLI

namespace hac {

struct LatencyModelOptions {
  std::string model = "table";  // or regression, a file, or what else the verb takes
  NetworksToTime timed;
  bool foreign_latency = false, allow_unsteady = false;
};
void add_latency_model_options(CLI::App& app, LatencyModelOptions& options);

// Times networks around this one and fits a model to them; or loads the file, which must have been
// measured here unless the user says otherwise. Says on stderr how many are timed. Throws
// DeviceError for a busy machine.
LatencyModelPtr latency_model_here(const LatencyModelOptions& options, const Architecture& arch,
                                   const TensorOptions& where);
// On stderr: where its predictions come from, and how far off they are.
void print_model(const LatencyModel& model);

}  // namespace hac
