#pragma once
// Measuring inference latency as the paper does (mean of 50 batch-1 inferences) and better: after
// warm-up, with median, percentiles, spread and a check that the machine did not drift during it.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "models/deploy/inference_session.h"
#include "scaling/latency/latency.h"
#include "scaling/measure/power.h"
#include "scaling/measure/steadiness.h"
#include "scaling/stats.h"

namespace hac {

// "34 of 50 runs waited for a core, after 200 were taken again"; "" where that is so of none.
std::string describe_disturbance(const LatencyStats& stats);

struct OpTime {
  int op = 0;                  // index into the graph
  std::string name, kind;      // "features.0", "conv2d"
  std::string spec;            // the kernel's one-line text form
  std::string implementation;  // of a convolution
  double ms = 0;               // median by the device's clock (InferenceSession::step_ms)
  double gmacs_per_s = 0;
  std::int64_t multiplications = 0;  // really done
  double multiplied_gmacs_per_s = 0;

  Fields fields() {  // without `op`
    return HAC_FIELDS(name, kind, spec)
        .add("implementation", implementation, {.optional = true})
        .add(HAC_FIELDS(ms, gmacs_per_s, multiplications, multiplied_gmacs_per_s));
  }
};

// Batch latencies by two clocks. The wall clock runs from the call until the device is known to be
// done; events lie on the device's own time, and so leave out what the host takes to begin and to
// notice the end. Cold: before each run the device's second-level cache is overwritten.
struct DeviceLatency {
  LatencyStats event, cold, cold_event;
};

struct Profile {
  LaunchMode launch = LaunchMode::eager;
  LatencyStats latency;                 // wall clock, warm
  std::optional<DeviceLatency> device;  // none on the CPU
  std::vector<OpTime> ops;
  std::int64_t macs = 0;             // of one image, times the batch
  std::int64_t multiplications = 0;  // of these, as OpTime has them
  double gmacs_per_s = 0;            // macs / median latency: the paper's "GFLOPS"
  double multiplied_gmacs_per_s = 0;
  double weight_mib = 0, activation_mib = 0;
};

struct MeasureOptions {
  int runs = 50;
  int warmup = 10;  // runs before; a GPU also works for warm_up_ms first (kernels/core/runtime.h)
  int repeats = 4;  // times `runs`: how many disturbed ones are taken again at most
  SchedulerSource counters;  // null: the operating system's

  Fields fields() {
    return Fields()
        .add("runs", runs, {1, 1000000}, "timed runs")
        .add("warmup", warmup, {0, 1000000}, "runs before them");
  }
};

// Times whole runs first (replayed if the network is captured), then each step.
Profile profile(InferenceSession& net, const MeasureOptions& options = {});

// Of a device other than the CPU: what Profile::device holds.
DeviceLatency measure_device(InferenceSession& net, const MeasureOptions& options = {});

// The same of several networks with their runs interleaved, so that a drift of the machine meets
// all of them alike. Returns the whole-run statistics.
std::vector<LatencyStats> measure_interleaved(std::span<InferenceSession* const> nets,
                                              const MeasureOptions& options = {});

// The energy of its inferences, by the protocol of power.h, whose images a run are the network's.
EnergyResult measure_energy(const PowerMeter& meter, InferenceSession& net,
                            EnergyOptions options = {});

// The architecture with random weights, for batch 1, ready to be timed (latency does not depend on
// what was learned), launched as the device does by default.
std::unique_ptr<InferenceSession> deploy_random(const Architecture& arch,
                                                const TensorOptions& where);

// How long to pause for a busy machine, in all; what is left shrinks with each pause.
struct Patience {
  double seconds = 30;
  std::function<void(double)> pause;  // null: sleeps so many seconds
};
// Calls `measure` until it says that its figures are steady, with growing pauses as long as there
// is patience (null: once).
void measure_patiently(Patience* patience, const std::function<bool()>& measure);

// Times it: what a LatencyModel is fitted on. While the runs are disturbed it waits and times the
// network again, as long as there is patience; what is returned then is not steady.
NetworkTiming time_network(const Architecture& arch, const MeasureOptions& options = {},
                           const TensorOptions& where = {}, Patience* patience = nullptr);
// Throws DeviceError for a figure that no budget should be decided on, naming --allow-unsteady.
void require_steady(const NetworkTiming& timing);

}  // namespace hac
