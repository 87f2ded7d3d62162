#pragma once
// From what the stages of an experiment gave to its Results.

#include <string>
#include <vector>

#include "scaling/experiment/experiment_latency.h"
#include "scaling/experiment/experiment_training.h"
#include "scaling/measure/utilization.h"

namespace hac {

// What was asked, of what and where; no figures of networks yet.
Results results_of(const Recipe& recipe, const std::string& command, const MeasuredOn& on,
                   const DataSplit& data, const Architecture& baseline, const Budget& budget);
TableRow table_row(const ScaledNetwork& network, const TrainedAccuracy& trained,
                   const MeasuredLatency& measured);
// To the facts of the machine, and to each row of the table its share.
void add_peak(Results& results, const MeasuredPeak& peak);
ReportedPlan reported(const ScaledNetwork& network);  // that has a plan
// With what `device` says of the same networks.
std::vector<Sweep> sweeps_of(const std::vector<SweepPoint>& points,
                             const std::vector<MeasuredLatency>& measured,
                             const LatencyModel& device);

// Of the networks of the table, which is there already; with pictures of images of the test set.
std::vector<NetworkEvaluation> evaluations_of(const Results& results,
                                              const std::vector<TrainedAccuracy>& trained,
                                              const Dataset& test);

// The error of predictions for these networks.
LatencyFit latency_fit(const std::string& name, const LatencyError& error,
                       const std::vector<NetworkTiming>& timings);
// Both latency models, on networks left out of the fit.
std::vector<LatencyFit> cross_validated(const std::vector<NetworkTiming>& timings,
                                        std::int64_t block);

// Figures that a busy machine disturbed, besides those of `unsteady_timings` networks that the
// latency model was fitted on; and what a reader of the figures must know.
void add_notes(Results& results, const Recipe& recipe, const std::string& importance_note,
               std::int64_t unsteady_timings, const std::vector<ScaledNetwork>& networks,
               const LatencyModel& model);

}  // namespace hac
