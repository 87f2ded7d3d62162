#pragma once
// The latency model of the device at hand, for verbs that ask what a network would take there.

#include <string>
#include <vector>

#include "scaling/latency/latency.h"
#include "scaling/latency/networks_to_time.h"
#include "scaling/measure/measure.h"

namespace CLI {
class App;
}  // namespace CLI

namespace hac {

inline constexpr const char* device_model_help =
    "latencies of a device that is not here, modelled: tx2, xavier, orin, a100, h100, h200, "
    "desktop-cpu or the file of a profile, with :eager or :graph";
// --allow-unsteady, of verbs that time networks now.
Fields unsteady_field(bool& allow);

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
// Times them, which it says on stderr. Throws DeviceError for a busy machine.
std::vector<TimedNetwork> time_here(const std::vector<Architecture>& nets,
                                    const TensorOptions& where, bool allow_unsteady,
                                    const MeasureOptions& measure = {});
// A saved model with the networks that it was fitted on. Throws ConfigError where it has none.
LatencyModelPtr load_with_networks(const std::string& path);
// "median 3.1 %, worst 8.0 %, R2 0.998"
std::string text_of(const LatencyError& error);
// On stderr: where its predictions come from, and how far off they are.
void print_model(const LatencyModel& model);

}  // namespace hac
