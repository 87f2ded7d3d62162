#pragma once
// What a scaled network may cost: latency L in milliseconds, memory M in parameters (paper Eq. 2)
// and, beyond the paper, in bytes: weights and peak activations of one image in f32. On the command
// line a limit is absolute or a factor of the baseline's own figure:
//   latency 3.2ms | 1.05x      params 12.9M | 500k | 123456 | 1.3x      memory 64MiB | 1.5x

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "engine/io/named_fields.h"
#include "scaling/latency/latency.h"

namespace hac {

// What ended a growth. Of the first seven, each is a set of limits: bits 1, 2 and 4 of the value
// plus one are latency, params and memory.
enum class StopReason : std::uint8_t {
  latency,
  params,
  latency_and_params,
  memory,
  latency_and_memory,
  params_and_memory,
  all_limits,
  width_cap,
  step_cap,
  infeasible,   // no network of the family is within the limits
  growth_cap,   // 256 times the baseline's operations
  last_member,  // the largest network of the family
};
template <>
inline constexpr std::string_view enum_names<StopReason>[] = {"latency",
                                                              "params",
                                                              "latency+params",
                                                              "memory",
                                                              "latency+memory",
                                                              "params+memory",
                                                              "latency+params+memory",
                                                              "width-cap",
                                                              "step-cap",
                                                              "infeasible",
                                                              "growth-cap",
                                                              "last-member"};
// Of a set of limits that is not empty.
constexpr StopReason stopped_by(unsigned limits) { return static_cast<StopReason>(limits - 1); }

// What a network takes of a budget.
struct NetworkCost {
  double latency_ms = 0;  // predicted
  std::int64_t params = 0;
  std::int64_t memory_bytes = 0;  // weights and peak activations at batch 1, f32

  Fields fields() { return HAC_FIELDS(latency_ms, params, memory_bytes); }
  bool operator==(const NetworkCost&) const = default;
};
NetworkCost cost_of(const Architecture& arch, const LatencyModel& model);

struct Limit {
  double value = std::numeric_limits<double>::infinity();
  bool factor = false;  // times the baseline's figure
  bool operator==(const Limit&) const = default;
};

// "" is no limit. Throw ConfigError: not of the form above, or not positive and finite.
Limit parse_latency_limit(const std::string& text);
Limit parse_params_limit(const std::string& text);
Limit parse_memory_limit(const std::string& text);

struct Budget {
  double latency_ms = std::numeric_limits<double>::infinity();
  double params = std::numeric_limits<double>::infinity();
  double memory_bytes = std::numeric_limits<double>::infinity();
  double latency_slack = 0;  // fraction by which the predicted latency may exceed latency_ms

  Fields fields() {
    return Fields()
        .add("latency_ms", latency_ms, {0}, "", {.infinite = true})
        .add("params", params, {0}, "", {.infinite = true})
        .add("memory_bytes", memory_bytes, {0}, "",
             {.omit = std::isinf(memory_bytes), .optional = true, .infinite = true})
        .add("latency_slack", latency_slack, {0, 10});
  }
  double latency_limit() const { return latency_ms * (1 + latency_slack); }
  bool limited() const {
    return std::isfinite(latency_ms) || std::isfinite(params) || std::isfinite(memory_bytes);
  }
  // The limits that the cost breaks, as the bits of StopReason; 0: it is within all.
  unsigned broken_by(const NetworkCost& cost) const {
    return (cost.latency_ms > latency_limit() ? 1U : 0U) |
           (static_cast<double>(cost.params) > params ? 2U : 0U) |
           (static_cast<double>(cost.memory_bytes) > memory_bytes ? 4U : 0U);
  }
  bool allows(const NetworkCost& cost) const { return broken_by(cost) == 0; }
  Budget latency_only() const { return {.latency_ms = latency_ms, .latency_slack = latency_slack}; }
  bool operator==(const Budget&) const = default;
};

// What the search of a method took: trainings that it asked for, and the CPU time of these when
// they were trained, also where this run found them already done.
struct SearchCost {
  std::int64_t trainings = 0;
  double cpu_seconds = 0;
  Fields fields() { return HAC_FIELDS(trainings, cpu_seconds); }
  SearchCost& operator+=(const SearchCost& other) {
    trainings += other.trainings;
    cpu_seconds += other.cpu_seconds;
    return *this;
  }
};

struct BudgetLimits {
  Limit latency, params, memory;
};

// A factor multiplies the *predicted* latency of the baseline N(1,1,1) under the model that steers
// the search, never a measured figure. Throws ConfigError when a limit is below the baseline, or
// when the model predicts no time for it.
Budget resolve(const BudgetLimits& limits, const NetworkCost& baseline);

}  // namespace hac
