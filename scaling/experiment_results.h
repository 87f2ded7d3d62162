#pragma once
// From the values of an experiment to DIR/results.json, the input of the report.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/counters.h"
#include "scaling/alpha.h"
#include "scaling/experiment_latency.h"
#include "scaling/latency.h"
#include "scaling/law.h"
#include "scaling/methods/method.h"
#include "scaling/recipe.h"
#include "scaling/utilization.h"
#include "scaling/width_scaling.h"

namespace hac {

struct ResultParts {
  const Recipe& recipe;
  const Budget& budget;
  const MeasuredOn& measured_on;
  const std::string& command;
  const nlohmann::json& dataset;
  const Architecture& baseline;
  const nlohmann::json& peak;  // {peak_gmacs, peak_of, bandwidth_gbs}
  const nlohmann::json& latency_models;
  std::int64_t unsteady_timings;  // networks of the latency model that a busy machine disturbed
  const nlohmann::json& alpha;
  const nlohmann::json& importance;  // {layers, laws, note}
  const LatencyModel& model;
  const std::vector<ScaledNetwork>& networks;  // of the result table, the baseline first
  const nlohmann::json& training;              // {top1, weights} of each
  const nlohmann::json& latency;               // of each
  const nlohmann::json& sweep;
};

std::string assemble_results(const ResultParts& parts);

// 95 %, over seeds, or over the images where there is one seed.
Interval accuracy_interval(const std::vector<double>& values, std::int64_t images);
// {mean, low, high, values, interval}; images of `set`: test or validation.
nlohmann::json accuracy_json(const std::vector<double>& values, std::int64_t images,
                             const char* set);
nlohmann::json importance_json(const std::vector<LayerSamples>& layers,
                               const std::vector<ImportanceLaw>& laws);
// Both latency models with their error on networks left out of the fit.
nlohmann::json latency_models_json(const std::vector<NetworkTiming>& timings, std::int64_t block);
// The model that steered the search, on networks timed after it was fitted.
nlohmann::json latency_check_json(const LatencyModel& model,
                                  const std::vector<NetworkTiming>& timings);
nlohmann::json sweep_json(const std::vector<SweepPoint>& points, const nlohmann::json& times);

}  // namespace hac
