#pragma once
// Why a network takes the time it takes on each of several devices, and what a little more time
// would buy there: along width, resolution and depth alone, and layer by layer. It is the cause of
// the paper's section III-A: what costs time without doing arithmetic (starting kernels, tiles that
// are not full) can be filled by more arithmetic, but only by a dimension that adds no kernels.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "models/arch/architecture.h"
#include "scaling/latency/latency.h"
#include "scaling/methods/method.h"

namespace hac {

// Fractions of a time. Of compute and traffic, which overlap, only the longer counts, so that the
// five add up to it (device_model.h).
struct TimeParts {
  double launch = 0, tail = 0, arithmetic = 0, weights = 0, activations = 0;

  Fields fields() { return HAC_FIELDS(launch, tail, arithmetic, weights, activations); }
};

struct LayerTime {
  std::string name, spec;
  double macs_share = 0, ms = 0, time_share = 0;
  std::string bound;  // LatencyPart; "" where times were measured, which do not say it

  Fields fields() {
    return HAC_FIELDS(name, spec, macs_share, ms, time_share)
        .add("bound", bound, {.omit = bound.empty(), .optional = true});
  }
};

// What growth is, by the time that it takes.
enum class Freedom : std::uint8_t {
  free,     // time grows less than half as fast as MACs: 2 log(latency) < log(MACs)
  partly,   // MACs a second grow by more than a tenth all the same
  none,     // as much time as work
  nothing,  // there is none
};
template <>
inline constexpr std::string_view enum_names<Freedom>[] = {"free", "partly free", "not free",
                                                           "nothing fits"};

// Another size of the network, as factors of what it has.
struct Resized {
  double factor = 1;  // of the dimension
  double macs = 1, params = 1, latency = 1;
  std::optional<TimeParts> added;  // to the latency, in fractions of the network's own; they may
                                   // be negative
  std::int64_t extrapolated = 0;   // layers outside what was timed

  // Of the MACs that one unit of time does: the paper's utilization.
  double utilization() const { return macs / latency; }
  Freedom freedom() const;
  Fields fields() {
    return HAC_FIELDS(factor, macs, params, latency)
        .add("utilization", AnyValue(utilization()))
        .add("freedom", AnyValue(to_string(freedom())))
        .add("added", added, {.omit = !added, .optional = true})
        .add("extrapolated", extrapolated, {.omit = extrapolated == 0, .optional = true});
  }
};

struct Purchase {
  double budget = 1;  // of latency, as a factor
  Resized largest;    // within it; of factor 1 where not even the smallest step is
  std::string stopped_by;

  Fields fields() { return HAC_FIELDS(budget, largest, stopped_by); }
};

struct DimensionExplanation {
  std::string method;  // uniform-width, resolution, depth
  Resized smallest;    // the smallest step
  std::vector<Purchase> bought;

  // What the largest budget buys; the smallest step if that is nothing.
  const Resized& judged() const;
  Fields fields() { return HAC_FIELDS(method, smallest, bought); }
};

struct DeviceExplanation {
  std::string device;  // the source of its times, which says where they are modelled
  bool modelled = false;
  double latency_ms = 0;
  std::optional<TimeParts> parts;
  std::optional<double> error;    // median, of a model that was measured
  std::vector<LayerTime> layers;  // those that take time
  Resized half_width;             // why latency falls less than compute
  std::vector<DimensionExplanation> dimensions;

  // What binds, which dimension is free and why, in words.
  std::string finding() const;
  Fields fields() {
    return HAC_FIELDS(device, modelled, latency_ms)
        .add("error", error, {.optional = true})
        .add("parts", parts, {.omit = !parts, .optional = true})
        .add("finding", AnyValue(finding()))
        .add(HAC_FIELDS(half_width, dimensions, layers));
  }
};

struct Explanation {
  std::string network;
  std::int64_t macs = 0, params = 0, resolution = 0;
  std::vector<DeviceExplanation> devices;

  Fields fields() { return HAC_FIELDS(network, macs, params, resolution, devices); }
};

// Devices to compare with where none are named: the paper's GPU told each kernel by its host, the
// same with a recorded graph, and one that is much larger.
inline constexpr const char* compared_devices[] = {"xavier", "xavier:graph", "h100"};

struct ExplainOptions {
  std::vector<double> budgets{1.05, 1.4};  // of the latency, ascending
  Rounding rounding;
};

// A device for each model. Throws ConfigError as Method::to_budget() does, for budgets below 1 or
// not ascending, and for none.
Explanation explain(const Architecture& arch, std::span<const LatencyModelPtr> models,
                    const ExplainOptions& options = {});

}  // namespace hac
