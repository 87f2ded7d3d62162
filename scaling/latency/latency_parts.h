#pragma once
// What the latency models share. Private to this folder's .cpp files.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>

#include "scaling/latency/latency.h"

namespace hac {

// One operation of one timed network.
struct TimedLayer {
  OpSpec spec;
  double ms = 0;
  double network_ms = 0;
};

// Throws ConfigError as the fits promise.
std::vector<TimedLayer> timed_layers(std::span<const NetworkTiming> timings);
// Sets the scale of a model that was just fitted; leaves it where nothing is predicted to take
// time.
void correct_scale(LatencyModel& model, std::span<const NetworkTiming> timings);
// Of each network's prediction by a model that was fitted to the other folds (cross_validate).
LatencyError error_left_out(
    std::span<const NetworkTiming> timings, int folds,
    const std::function<LatencyModelPtr(std::span<const NetworkTiming>)>& fit);
double dot(const std::vector<double>& a, const std::vector<double>& b);

// Read `common`, the fields that both have, and their own.
std::shared_ptr<LatencyModel> latency_table_from_json(const nlohmann::json& json, Fields common);
std::shared_ptr<LatencyModel> latency_regression_from_json(const nlohmann::json& json,
                                                           Fields common);
// ConfigError for a source that is not the profile's own.
std::shared_ptr<LatencyModel> device_model_from_json(const nlohmann::json& json, Fields common,
                                                     const std::optional<LatencySource>& source);

// Of the file. A table of version 1, which bore no number, had a row for each size.
inline constexpr int kLatencyFileVersion = 2;
inline constexpr std::int64_t kMaxChannels = 1 << 20;

}  // namespace hac
