#pragma once
// What a run of the pipeline found: one value from its stages to the report, and the file
// DIR/results.json. A number that was not measured is `unknown`, null in the file; a section that
// is absent is empty.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "models/train/eval_details.h"
#include "scaling/importance/law.h"
#include "scaling/latency/staircase.h"
#include "scaling/measure/power.h"
#include "scaling/methods/budget.h"
#include "scaling/methods/explanation.h"
#include "scaling/methods/width_scaling.h"
#include "scaling/stats.h"

namespace hac {

struct Accuracy {  // fractions in [0, 1]
  double mean = unknown, low = unknown, high = unknown;
  std::vector<double> values;  // one a seed
  std::string interval;        // what low and high are: "95 % over 3 seeds"

  Fields fields() {
    return Fields()
        .add("mean", mean)
        .add("low", low)
        .add("high", high)
        .add("values", values, {.optional = true})
        .add("interval", interval, {.optional = true});
  }
};

struct MeasuredLatency {
  LatencyStats ms{.mean = unknown,
                  .median = unknown,
                  .p95 = unknown,
                  .min = unknown,
                  .p10 = unknown,
                  .p90 = unknown};
  double multiplications = unknown;  // really done (utilization.h)
  bool modelled = false;             // not measured: what a device model says (device_model.h)

  Fields fields() {  // older files have the first three and the number of runs
    return Fields()
        .add("median", ms.median)
        .add("mean", ms.mean)
        .add("p95", ms.p95)
        .add("min", ms.min, {.optional = true})
        .add("p10", ms.p10, {.optional = true})
        .add("p90", ms.p90, {.optional = true})
        .add("spread", ms.spread, {.optional = true})
        .add("drift", ms.drift, {.optional = true})
        .add("runs", ms.runs)
        .add("disturbed", ms.disturbed, {.optional = true})
        .add("repeated", ms.repeated, {.optional = true})
        .add("multiplications", multiplications, {.optional = true, .whole = true})
        .add("steady", AnyValue(ms.steady()), {.optional = true})
        .add("modelled", modelled, {.omit = !modelled, .optional = true});
  }
};

struct TableRow {
  std::string method;  // Method::name, or baseline
  double params = unknown, macs = unknown, ops_thop2021 = unknown, resolution = unknown;
  std::vector<std::int64_t> widths;
  double predicted_ms = unknown;
  MeasuredLatency measured;
  double gmacs_per_s = unknown;
  double multiplied_gmacs_per_s = unknown;  // of the multiplications: what the peak bounds
  double peak_fraction = unknown;
  std::optional<EnergyResult> energy;  // of the baseline and of HACScale's networks
  Accuracy top1;
  std::vector<std::string> weights;  // files, of each seed
  std::string limit;                 // that stopped the method, as StopReason
  std::string key;                   // Method::key, baseline, or uniform-params (claims.h)
  double memory_bytes = unknown;     // as NetworkCost
  std::optional<SearchCost> search;  // trainings that the method asked for
  std::string note;

  Fields fields() {
    return Fields()
        .add("method", method)
        .add("params", params, {.whole = true})
        .add("macs", macs, {.whole = true})
        .add("ops_thop2021", ops_thop2021, {.whole = true})
        .add("resolution", resolution, {.whole = true})
        .add("widths", widths, {.optional = true})
        .add("predicted_ms", predicted_ms)
        .add("measured_ms", measured)
        .add("gmacs_per_s", gmacs_per_s)
        .add("multiplied_gmacs_per_s", multiplied_gmacs_per_s, {.optional = true})
        .add("peak_fraction", peak_fraction)
        .add("energy", energy, {.optional = true})
        .add("top1", top1)
        .add("weights", weights, {.optional = true})
        .add("limit", limit, {.optional = true})
        .add("key", key, {.optional = true})
        .add("memory_bytes", memory_bytes, {.optional = true, .whole = true})
        .add("search", search, {.optional = true})
        .add("note", note, {.optional = true});
  }
  // Padding is left out, or Winograd used: both rates are shown then.
  bool saves_multiplications() const { return multiplied_gmacs_per_s < gmacs_per_s; }
};

struct UtilizationPoint {
  std::string label;
  double macs = unknown, params = unknown, ms = unknown, gmacs_per_s = unknown;
  bool steady = true;
  double error = unknown;        // 95 % of ms, as a fraction of it
  double modelled_ms = unknown;  // of Results::sweep_model

  Fields fields() {
    return Fields()
        .add("label", label)
        .add("macs", macs, {.whole = true})
        .add("params", params, {.whole = true})
        .add("ms", ms)
        .add("gmacs_per_s", gmacs_per_s)
        .add("steady", steady, {.optional = true})
        .add("error", error, {.optional = true})
        .add("modelled_ms", modelled_ms, {.optional = true});
  }
  double modelled_gmacs_per_s() const { return macs / modelled_ms / 1e6; }
};
struct Sweep {
  std::string dimension;  // width, depth, resolution
  std::vector<UtilizationPoint> points;
  Fields fields() { return Fields().add("dimension", dimension).add("points", points); }
};
struct NetworkSweeps {
  std::string network;
  std::vector<Sweep> sweeps;
  Fields fields() { return Fields().add("network", network).add("sweeps", sweeps); }
};

// One operation of a network as it runs at batch 1.
struct LayerRate {
  std::string name, kind;
  double macs = unknown, bytes = unknown, ms = unknown;  // weights, inputs and output once

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("kind", kind)
        .add("macs", macs, {.whole = true})
        .add("bytes", bytes, {.whole = true})
        .add("ms", ms);
  }
};
struct NetworkProfile {
  std::string network;  // TableRow::method
  std::vector<LayerRate> layers;
  Fields fields() { return Fields().add("network", network).add("layers", layers); }
};

// The time of one layer of the baseline against its width.
struct SweptLayer {
  std::int64_t width = 0;  // its own
  LayerStaircase found;

  Fields fields() { return Fields().add("width", width, {1, 1 << 20}).add(found.fields()); }
};

struct LayerLaw {
  std::vector<std::array<double, 2>> points;  // width C, importance I
  ImportanceLaw law;

  Fields fields() {
    return Fields()
        .add("layer", law.layer)
        .add("points", points)
        .add("a", law.a)
        .add("b", law.b)
        .add("r2", law.r2)
        .add("fitted_b", law.fitted_b, {.optional = true})
        .add("residuals", law.residuals, {.optional = true})
        .add("warning", law.warning, {.optional = true});
  }
};

struct AlphaPoint {
  double alpha = unknown, resolution = unknown, width = unknown, macs = unknown, params = unknown;
  Accuracy top1;
  double ms = unknown;
  bool feasible = false;

  Fields fields() {
    return Fields()
        .add("alpha", alpha)
        .add("resolution", resolution, {.whole = true})
        .add("width", width)
        .add("macs", macs, {.whole = true})
        .add("params", params, {.optional = true, .whole = true})
        .add("top1", top1)
        .add("ms", ms)
        .add("feasible", feasible);
  }
};
struct AlphaCurve {
  double s = unknown;
  std::vector<AlphaPoint> points;
  double best = unknown, resolution = unknown;  // of the chosen one
  std::optional<double> peak;
  std::optional<std::array<double, 3>> parabola;  // c0 + c1 alpha + c2 alpha^2, top-1 fraction
  std::string note;
  std::optional<SearchCost> search;

  Fields fields() {
    return Fields()
        .add("s", s)
        .add("points", points, {.optional = true})
        .add("best", best)
        .add("resolution", resolution, {.optional = true, .whole = true})
        .add("peak", peak, {.optional = true})
        .add("parabola", parabola, {.optional = true})
        .add("note", note, {.optional = true})
        .add("search", search, {.optional = true});
  }
};

inline Fields limits_of(Budget& budget) {
  return Fields()
      .add("latency_ms", budget.latency_ms, {.infinite = true})
      .add("params", budget.params, {.infinite = true})
      .add("memory_bytes", budget.memory_bytes,
           {.omit = std::isinf(budget.memory_bytes), .optional = true, .infinite = true});
}

struct LayerWidths {
  std::string name;
  double before = unknown, after = unknown;
  std::string reason;

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("before", before, {.whole = true})
        .add("after", after, {.whole = true})
        .add("reason", reason, {.optional = true});
  }
};
struct PlanStep {
  std::string layer;
  double width = unknown, latency_ms = unknown, params = unknown;

  Fields fields() {
    return Fields()
        .add("layer", layer)
        .add("width", width, {.whole = true})
        .add("latency_ms", latency_ms)
        .add("params", params, {.whole = true});
  }
};
struct ReportedPlan {  // a ScalingPlan, in figures
  std::string name, gain, policy;
  double stride = unknown, resolution = unknown;
  std::vector<LayerWidths> layers;
  std::vector<PlanStep> steps;
  std::string stop;  // what ended the search
  std::vector<std::string> warnings;
  Budget budget;
  std::optional<OptimalityGap> optimality;

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("gain", gain, {.optional = true})
        .add("policy", policy, {.optional = true})
        .add("stride", stride, {.whole = true})
        .add("resolution", resolution, {.whole = true})
        .add("layers", layers, {.optional = true})
        .add("steps", steps, {.optional = true})
        .add("stop", stop, {.optional = true})
        .add("warnings", warnings, {.optional = true})
        .add("budget", limits_of(budget), {.optional = true})
        .add("optimality", optimality, {.optional = true});
  }
};

struct LatencyFit {
  std::string name;
  double median_error = unknown, max_error = unknown, r2 = unknown;  // errors as fractions
  double networks = unknown;
  std::vector<std::array<double, 2>> points;  // predicted, measured ms

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("median_error", median_error)
        .add("max_error", max_error)
        .add("r2", r2)
        .add("networks", networks, {.whole = true})
        .add("points", points);
  }
};

enum class ClaimVerdict { holds, does_not_hold, cannot_be_told };
template <>
inline constexpr std::string_view enum_names<ClaimVerdict>[] = {"holds", "does not hold",
                                                                "cannot be told"};
struct Claim {
  std::string id;            // "width-utilization"
  std::string claim, place;  // what the paper says, in one sentence; figure, table or section
  ClaimVerdict verdict = ClaimVerdict::cannot_be_told;
  std::string figures;                                     // that the verdict rests on, in words
  double effect = unknown, low = unknown, high = unknown;  // the figures say what they are
  double p = unknown;                                      // of a test, corrected by Holm

  Fields fields() {
    return Fields()
        .add("id", id)
        .add("claim", claim)
        .add("place", place)
        .add("verdict", verdict)
        .add("figures", figures)
        .add("effect", effect, {.optional = true})
        .add("low", low, {.optional = true})
        .add("high", high, {.optional = true})
        .add("p", p, {.optional = true});
  }
};

// What a trained network does on the test set, class by class.
struct NetworkEvaluation {
  std::string network;                // TableRow::method
  std::optional<std::uint64_t> seed;  // of several, that of the median top-1 (the lower of two)
  EvalResult result;
  // In a table of many networks whole for whole(), without matrix, names and images for others.
  EvalDetails details;

  Fields fields() {
    return Fields()
        .add("network", network)
        .add("seed", seed, {.omit = !seed, .optional = true})
        .add("test", result)
        .add("details", details);
  }
  bool whole() const { return !details.confusion.empty(); }
};

using FactValue = AnyValue;  // a setting or a fact of the machine, shown as it is
using Facts = std::map<std::string, FactValue>;

struct Results {
  std::string recipe, command, created, baseline;
  std::vector<FactValue> seeds;
  Facts machine, versions, dataset, training;
  std::map<std::string, Facts> settings;  // of the recipe
  Budget budget;
  std::string latency_text, params_text;  // the budget as the user wrote it
  std::string sweep_model;                // the device model of UtilizationPoint::modelled_ms
  std::string modelled;  // the device whose latencies are modelled; "": all were measured here
  // Which accuracy the table and the search for alpha show; empty in files of older versions.
  std::string table_accuracy, alpha_accuracy;
  std::vector<TableRow> table;
  std::vector<Sweep> sweeps;                // of the baseline
  std::vector<NetworkSweeps> other_sweeps;  // of the recipe's sweep.models
  std::vector<LayerLaw> importance;
  AlphaCurve alpha;
  std::vector<ReportedPlan> plans;
  std::vector<LatencyFit> latency_models;
  std::vector<NetworkProfile> profiles;
  std::optional<SweptLayer> staircase;
  std::string energy_reason;    // why no row of the table has an energy: "no meter: ..."
  double unsteady_figures = 0;  // latencies that a busy machine disturbed
  std::vector<std::string> notes;
  std::optional<Explanation> explanation;  // of the baseline, on this device and on others
  std::vector<Claim> claims;               // of the paper, judged by all of the above (claims.h)
  // Of the table's networks, in its order, but of those whose kept trainings have no details.
  // Whole: the baseline's and that of the most accurate, which has its worst images too.
  std::vector<NetworkEvaluation> evaluations;
};

// The text of results.json.
std::string to_json(const Results& results);
// Throws ConfigError with the JSON path: malformed text, a missing field, a wrong type, a number
// beyond 1e18 in size. A number nearer to zero than 1e-18 is read as zero.
Results results_from_json(const std::string& text);

}  // namespace hac
