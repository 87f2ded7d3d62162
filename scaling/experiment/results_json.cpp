#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/core/error.h"
#include "scaling/experiment/json_record.h"

namespace hac {

using nlohmann::json;

void visit(JsonRecord& r, Accuracy& a) {
  r("mean", a.mean)("low", a.low)("high", a.high)("values", a.values, Need::optional);
  r("interval", a.interval, Need::optional);
}

// Older files have the first three and the number of runs.
void visit(JsonRecord& r, MeasuredLatency& l) {
  r("median", l.ms.median)("mean", l.ms.mean)("p95", l.ms.p95)("min", l.ms.min, Need::optional);
  r("spread", l.ms.spread, Need::optional)("drift", l.ms.drift, Need::optional);
  r.count("runs", l.ms.runs).count("disturbed", l.ms.disturbed, Need::optional);
  r.count("repeated", l.ms.repeated, Need::optional);
  r.count("multiplications", l.multiplications, Need::optional).derived("steady", l.ms.steady());
}

static void visit(JsonRecord& r, TableRow& row) {
  r("method", row.method).count("params", row.params).count("macs", row.macs);
  r.count("ops_thop2021", row.ops_thop2021).count("resolution", row.resolution);
  r("widths", row.widths, Need::optional)("predicted_ms", row.predicted_ms);
  r("measured_ms", row.measured, Need::nullable)("gmacs_per_s", row.gmacs_per_s);
  r("multiplied_gmacs_per_s", row.multiplied_gmacs_per_s, Need::optional);
  r("peak_fraction", row.peak_fraction)("top1", row.top1, Need::nullable);
  r("weights", row.weights, Need::optional)("limit", row.limit, Need::optional);
}

static void visit(JsonRecord& r, UtilizationPoint& p) {
  r("label", p.label).count("macs", p.macs).count("params", p.params);
  r("ms", p.ms)("steady", p.steady, Need::optional)("gmacs_per_s", p.gmacs_per_s);
}

void visit(JsonRecord& r, LayerLaw& l) {
  r("layer", l.law.layer)("points", l.points)("a", l.law.a)("b", l.law.b)("r2", l.law.r2);
  r("fitted_b", l.law.fitted_b, Need::optional)("residuals", l.law.residuals, Need::optional);
  r("warning", l.law.warning, Need::optional);
  l.law.n = std::ssize(l.points);
}

static void visit(JsonRecord& r, AlphaPoint& p) {
  r("alpha", p.alpha).count("resolution", p.resolution)("width", p.width).count("macs", p.macs);
  r.count("params", p.params, Need::optional)("top1", p.top1, Need::nullable)("ms", p.ms);
  r("feasible", p.feasible);
}

void visit(JsonRecord& r, AlphaCurve& a) {
  r("s", a.s)("points", a.points, Need::optional)("best", a.best);
  r.count("resolution", a.resolution, Need::optional)("peak", a.peak, Need::optional);
  r("parabola", a.parabola, Need::optional)("note", a.note, Need::optional);
}

static void visit(JsonRecord& r, LayerWidths& l) {
  r("name", l.name).count("before", l.before).count("after", l.after);
  r("reason", l.reason, Need::optional);
}

static void visit(JsonRecord& r, PlanStep& s) {
  r("layer", s.layer).count("width", s.width)("latency_ms", s.latency_ms);
  r.count("params", s.params);
}

static void visit(JsonRecord& r, Budget& b) { r("latency_ms", b.latency_ms)("params", b.params); }

static void visit(JsonRecord& r, ReportedPlan& p) {
  r("name", p.name)("gain", p.gain, Need::optional)("policy", p.policy, Need::optional);
  r.count("stride", p.stride).count("resolution", p.resolution);
  r("layers", p.layers, Need::optional)("steps", p.steps, Need::optional);
  r("stop", p.stop, Need::optional)("warnings", p.warnings, Need::optional);
  r("budget", p.budget, Need::optional);
}

static void visit(JsonRecord& r, LatencyFit& f) {
  r("name", f.name)("median_error", f.median_error)("max_error", f.max_error)("r2", f.r2);
  r.count("networks", f.networks)("points", f.points);
}

// By dimension, each always written.
static void visit(JsonRecord& r, std::vector<Sweep>& all) {
  for (const char* dimension : {"width", "depth", "resolution"}) {
    const auto it = std::find_if(all.begin(), all.end(),
                                 [&](const Sweep& s) { return s.dimension == dimension; });
    Sweep sweep = it == all.end() ? Sweep{.dimension = dimension} : *it;
    r(dimension, sweep.points, Need::optional);
    if (r.reading() && !sweep.points.empty()) all.push_back(std::move(sweep));
  }
}

static void visit(JsonRecord& r, Results& x) {
  double schema = 1;
  r.count("schema", schema);
  if (schema != 1) r.at("schema", Need::present)->expected("schema 1 (written by this version)");
  r("recipe", x.recipe)("command", x.command, Need::optional);
  r("created", x.created, Need::optional)("baseline", x.baseline, Need::optional);
  r("seeds", x.seeds, Need::optional)("settings", x.settings, Need::optional);
  for (const auto& [section, facts] : {std::pair{"machine", &x.machine},
                                       {"versions", &x.versions},
                                       {"dataset", &x.dataset},
                                       {"training", &x.training}}) {
    r(section, *facts, Need::optional);
    for (const auto& [key, value] : *facts) {
      if (!std::holds_alternative<std::vector<FactValue>>(value)) continue;
      r.at(section, Need::present)
          ->at(key, Need::present)
          ->expected("a string, number or true or false");
    }
  }
  if (std::optional<JsonRecord> budget = r.at("budget", Need::optional)) {
    visit(*budget, x.budget);
    (*budget)("latency_text", x.latency_text, Need::optional);
    (*budget)("params_text", x.params_text, Need::optional);
  }
  if (std::optional<JsonRecord> accuracy = r.at("accuracy", Need::optional)) {
    (*accuracy)("table", x.table_accuracy, Need::optional);
    (*accuracy)("alpha", x.alpha_accuracy, Need::optional);
  }
  r("table", x.table, Need::optional)("sweeps", x.sweeps, Need::optional);
  r("importance", x.importance, Need::optional)("alpha", x.alpha, Need::optional);
  r("plans", x.plans, Need::optional)("latency_models", x.latency_models, Need::optional);
  r.count("unsteady_figures", x.unsteady_figures, Need::optional);
  r("notes", x.notes, Need::optional);
}

std::string to_json(const Results& results) {
  json j;
  Results copy = results;  // one function writes and reads
  JsonRecord record = JsonRecord::writer(j);
  visit(record, copy);
  return j.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Results results_from_json(const std::string& text) {
  const json j = [&] {
    try {
      return json::parse(text);
    } catch (const json::exception& error) {
      throw ConfigError(std::string("results.json: expected JSON, got ") + error.what());
    }
  }();
  Results results;
  JsonRecord record = JsonRecord::reader(j, "results", true);
  visit(record, results);
  return results;
}

}  // namespace hac
