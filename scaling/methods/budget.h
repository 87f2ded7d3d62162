#pragma once
// What a scaled network may cost: latency L in milliseconds and memory M in parameters (paper
// Eq. 2). On the command line a limit is absolute or a factor of the baseline's own figure:
//   latency 3.2ms | 1.05x      params 12.9M | 500k | 123456 | 1.3x

#include <cstdint>
#include <limits>
#include <string>

#include "engine/io/fields.h"

namespace hac {

struct Limit {
  double value = std::numeric_limits<double>::infinity();
  bool factor = false;  // times the baseline's figure
  bool operator==(const Limit&) const = default;
};

// "" is no limit. Throw ConfigError: not of the form above, or not positive and finite.
Limit parse_latency_limit(const std::string& text);
Limit parse_params_limit(const std::string& text);

struct Budget {
  double latency_ms = std::numeric_limits<double>::infinity();
  double params = std::numeric_limits<double>::infinity();
  double latency_slack = 0;  // fraction by which the predicted latency may exceed latency_ms

  Fields fields() {
    return Fields()
        .add("latency_ms", latency_ms, {0}, "", {.infinite = true})
        .add("params", params, {0}, "", {.infinite = true})
        .add("latency_slack", latency_slack, {0, 10});
  }
  double latency_limit() const { return latency_ms * (1 + latency_slack); }
  bool allows(double ms, double parameters) const {
    return ms <= latency_limit() && parameters <= params;
  }
  Budget latency_only() const { return {.latency_ms = latency_ms, .latency_slack = latency_slack}; }
  bool operator==(const Budget&) const = default;
};

// A factor multiplies the *predicted* latency of the baseline N(1,1,1) under the model that steers
// the search, never a measured figure. Throws ConfigError when a limit is below the baseline, or
// when the model predicts no time for it.
Budget resolve(const Limit& latency, const Limit& params, double baseline_ms,
               std::int64_t baseline_params);

}  // namespace hac
