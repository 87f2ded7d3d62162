#pragma once
// What a run of the pipeline found: one value from its stages to the report, and the file
// DIR/results.json. A number that was not measured is `unknown`, null in the file; a section that
// is absent is empty.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "scaling/importance/law.h"
#include "scaling/methods/budget.h"
#include "scaling/stats.h"

namespace hac {

struct Accuracy {  // fractions in [0, 1]
  double mean = unknown, low = unknown, high = unknown;
  std::vector<double> values;  // one a seed
  std::string interval;        // what low and high are: "95 % over 3 seeds"
};

struct MeasuredLatency {
  LatencyStats ms{.mean = unknown, .median = unknown, .p95 = unknown, .min = unknown};
  double multiplications = unknown;  // really done (utilization.h)
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
  Accuracy top1;
  std::vector<std::string> weights;  // files, of each seed
  std::string limit;                 // that stopped the method, as StopReason

  // Padding is left out, or Winograd used: both rates are shown then.
  bool saves_multiplications() const { return multiplied_gmacs_per_s < gmacs_per_s; }
};

struct UtilizationPoint {
  std::string label;
  double macs = unknown, params = unknown, ms = unknown, gmacs_per_s = unknown;
  bool steady = true;
};
struct Sweep {
  std::string dimension;  // width, depth, resolution
  std::vector<UtilizationPoint> points;
};

struct LayerLaw {
  std::vector<std::array<double, 2>> points;  // width C, importance I
  ImportanceLaw law;
};

struct AlphaPoint {
  double alpha = unknown, resolution = unknown, width = unknown, macs = unknown, params = unknown;
  Accuracy top1;
  double ms = unknown;
  bool feasible = false;
};
struct AlphaCurve {
  double s = unknown;
  std::vector<AlphaPoint> points;
  double best = unknown, resolution = unknown;  // of the chosen one
  std::optional<double> peak;
  std::optional<std::array<double, 3>> parabola;  // c0 + c1 alpha + c2 alpha^2, top-1 fraction
  std::string note;
};

struct LayerWidths {
  std::string name;
  double before = unknown, after = unknown;
  std::string reason;
};
struct PlanStep {
  std::string layer;
  double width = unknown, latency_ms = unknown, params = unknown;
};
struct ReportedPlan {  // a ScalingPlan, in figures
  std::string name, gain, policy;
  double stride = unknown, resolution = unknown;
  std::vector<LayerWidths> layers;
  std::vector<PlanStep> steps;
  std::string stop;  // what ended the search
  std::vector<std::string> warnings;
  Budget budget;
};

struct LatencyFit {
  std::string name;
  double median_error = unknown, max_error = unknown, r2 = unknown;  // errors as fractions
  double networks = unknown;
  std::vector<std::array<double, 2>> points;  // predicted, measured ms
};

// A setting or a fact of the machine, shown as it is; monostate is null.
struct FactValue : std::variant<std::monostate, bool, std::uint64_t, double, std::string,
                                std::vector<FactValue>> {
  using variant::variant;
};
using Facts = std::map<std::string, FactValue>;

struct Results {
  std::string recipe, command, created, baseline;
  std::vector<FactValue> seeds;
  Facts machine, versions, dataset, training;
  std::map<std::string, Facts> settings;  // of the recipe
  Budget budget;
  std::string latency_text, params_text;  // the budget as the user wrote it
  // Which accuracy the table and the search for alpha show; empty in files of older versions.
  std::string table_accuracy, alpha_accuracy;
  std::vector<TableRow> table;
  std::vector<Sweep> sweeps;
  std::vector<LayerLaw> importance;
  AlphaCurve alpha;
  std::vector<ReportedPlan> plans;
  std::vector<LatencyFit> latency_models;
  double unsteady_figures = 0;  // latencies that a busy machine disturbed
  std::vector<std::string> notes;
};

// The text of results.json.
std::string to_json(const Results& results);
// Throws ConfigError with the JSON path: malformed text, a missing field, a wrong type, a number
// beyond 1e18 in size. A number nearer to zero than 1e-18 is read as zero.
Results results_from_json(const std::string& text);

}  // namespace hac
