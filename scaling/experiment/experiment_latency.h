#pragma once
// What an experiment measures: the networks that a latency model is fitted on, and those of its
// tables. Every measurement is a stage, kept under the machine, the options and the networks.

#include <optional>
#include <string>
#include <vector>

#include "kernels/core/machine.h"
#include "models/model.h"
#include "scaling/experiment/recipe.h"
#include "scaling/experiment/results.h"
#include "scaling/experiment/stage_cache.h"
#include "scaling/measure/power.h"
#include "scaling/methods/method.h"

namespace hac {

// What a measured time depends on besides the network.
struct MeasuredOn {
  Machine machine;
  TensorOptions where;
  bool allow_unsteady = false;  // decide on times that a busy machine disturbed
  MeterOptions meters = {};
  EnergyOptions energy = {.warmup_seconds = 1, .seconds = 2, .repetitions = 3, .idle_seconds = 3};
};

Rounding rounding_of(const Recipe& recipe);

struct MeasuredPeak {
  std::optional<double> gmacs_per_s;    // of the device, none where it has none
  std::string of;                       // what was measured, or why nothing was
  std::optional<double> bandwidth_gbs;  // of the host's memory, none where too little is free
  bool steady = true;                   // both, as Ceiling says

  Fields fields() {
    return Fields()
        .add("peak_gmacs", gmacs_per_s, {.optional = true})
        .add("peak_of", of)
        .add("bandwidth_gbs", bandwidth_gbs, {.optional = true})
        .add("steady", steady, {.optional = true});
  }
};
// One kept from an earlier run that a network exceeded with `reached_gmacs` is measured again: the
// machine was slower then.
MeasuredPeak peak_of(StageCache& stages, const MeasuredOn& on, double reached_gmacs);

// Layer times of the baseline and of random widths around it, at every resolution that the alpha
// search may choose. Waits for a busy machine; throws DeviceError where it stays so and that is not
// allowed.
std::vector<NetworkTiming> time_sampled_networks(StageCache& stages, const MeasuredOn& on,
                                                 const Recipe& recipe,
                                                 const Architecture& baseline);

// Of each network, their runs interleaved so that a drift of the machine meets all of them alike.
std::vector<MeasuredLatency> measure_networks(StageCache& stages, const MeasuredOn& on,
                                              const Recipe& recipe, const std::string& stage,
                                              const std::vector<Architecture>& archs);

// The operations of each network, inside whole runs.
std::vector<NetworkProfile> profile_networks(StageCache& stages, const MeasuredOn& on,
                                             const Recipe& recipe,
                                             const std::vector<ScaledNetwork>& networks);

// Which layer's time is drawn against its width, as an index of widths(baseline): the one that the
// laws find most important there, without laws that with the most multiply-accumulates. Of those
// that can widen alone; none where there is none.
std::optional<int> layer_to_sweep(const Architecture& baseline, const std::vector<LayerLaw>& laws);
// That layer at its own width and those of staircase_widths(): its times in a few seconds, in three
// rounds at least, or as `model` says (null: measured).
SweptLayer sweep_layer(StageCache& stages, const MeasuredOn& on, const Architecture& baseline,
                       int layer, const LatencyModel* model);

// Of each network, as a device model says.
std::vector<MeasuredLatency> modelled_latencies(const LatencyModel& model,
                                                const std::vector<Architecture>& archs);

// Joules an inference of each network, or why there are none: no meter, or one that fails.
struct MeasuredEnergy {
  std::vector<EnergyResult> of;
  std::string reason;
};
MeasuredEnergy measure_energies(StageCache& stages, const MeasuredOn& on, const Recipe& recipe,
                                const std::vector<Architecture>& archs);

}  // namespace hac
