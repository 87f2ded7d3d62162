#pragma once
// results.json, the file that the pipeline writes at its end, as plain values.
// A number that was not measured (null in the file) is `unknown`; a section that is absent is
// empty.

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/report/text.h"

namespace hac::report {

struct Accuracy {  // fractions in [0, 1]
  double mean = unknown, low = unknown, high = unknown;
  std::vector<double> values;  // one a seed
  std::string interval;        // what low and high are: "95 % over 3 seeds"
};

struct Latency {  // ms
  double median = unknown, mean = unknown, p95 = unknown, runs = unknown;
  double disturbed = unknown;  // of the runs, by a busy machine
  bool steady = true;
};

struct TableRow {
  std::string method;
  double params, macs, ops_thop2021, resolution;
  double predicted_ms;
  Latency measured_ms;
  double gmacs_per_s, peak_fraction;
  Accuracy top1;
  std::string limit;  // the budget that stopped the method: latency, memory or nothing
};

struct SweepPoint {
  std::string label;
  double macs, params, ms, gmacs_per_s;
};
struct Sweep {
  std::string dimension;  // width, depth, resolution
  std::vector<SweepPoint> points;
};

struct LayerImportance {  // I = a * C^b
  std::string layer;
  std::vector<std::pair<double, double>> points;  // width C, importance I
  double a, b, r2;
  std::string warning;
};

struct AlphaPoint {
  double alpha, resolution, width, macs;
  Accuracy top1;
  double ms;
  bool feasible;
};
struct AlphaCurve {
  double s = unknown;
  std::vector<AlphaPoint> points;
  double best = unknown;
  std::optional<std::array<double, 3>> parabola;  // c0 + c1 alpha + c2 alpha^2, top-1 fraction
  std::string note;
};

struct LayerWidths {
  std::string name;
  double before, after;
  std::string reason;
};
struct PlanStep {
  std::string layer;
  double width, latency_ms, params;
};
struct Plan {
  std::string name, gain, policy;
  double stride, resolution;
  std::vector<LayerWidths> layers;
  std::vector<PlanStep> steps;
  std::string stop;  // what ended the search
};

struct LatencyFit {
  std::string name;
  double median_error, max_error, r2, networks;   // errors as fractions
  std::vector<std::pair<double, double>> points;  // predicted, measured ms
};

struct Budget {
  double latency_ms = unknown, params = unknown;
  std::string latency_text, params_text;  // as the user wrote them
};

using Facts = std::vector<std::pair<std::string, std::string>>;  // scalar settings, printed as is

struct Results {
  std::string recipe, command, created, baseline;
  std::string seeds;
  Facts machine, versions, dataset, training;
  std::vector<std::pair<std::string, Facts>> settings;  // of the recipe, a list as its items
  Budget budget;
  // Which accuracy the table and the search for alpha show; empty in files of older versions.
  std::string table_accuracy, alpha_accuracy;
  std::vector<TableRow> table;
  std::vector<Sweep> sweeps;
  std::vector<LayerImportance> importance;
  AlphaCurve alpha;
  std::vector<Plan> plans;
  std::vector<LatencyFit> latency_models;
  double unsteady_figures = 0;
  std::vector<std::string> notes;
};

// Throws ConfigError with the JSON path: malformed text, a missing field, a wrong type, a number
// beyond 1e18 in size. A number nearer to zero than 1e-18 is read as zero.
Results parse_results(const std::string& json_text);

}  // namespace hac::report
