#pragma once
// What the two latency models share. Private to this folder's .cpp files.

#include <span>

#include "scaling/json_fields.h"
#include "scaling/latency.h"

namespace hac {

// One operation of one timed network.
struct TimedLayer {
  OpSpec spec;
  double ms = 0;
  double network_ms = 0;
};

// Throws ConfigError as the fits promise.
std::vector<TimedLayer> timed_layers(std::span<const NetworkTiming> timings);
// Median over networks of measured total / predicted total; 1 if nothing is predicted to take time.
double scale_correction(const LatencyModel& model, std::span<const NetworkTiming> timings);

std::shared_ptr<LatencyModel> latency_table_from_json(const Json& json);
std::shared_ptr<LatencyModel> latency_regression_from_json(const Json& json);

// "measured_on" and "error" of a saved model or plan, both optional.
void add_origin(Json& json, const std::optional<LatencySource>& source,
                const std::optional<LatencyError>& error);
void take_origin(Json& json, std::optional<LatencySource>& source,
                 std::optional<LatencyError>& error, const std::string& what);

inline constexpr std::int64_t kMaxChannels = 1 << 20;

}  // namespace hac
