#include "scaling/experiment_results.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "scaling/steadiness.h"

namespace hac {
namespace {

using nlohmann::json;

constexpr double kNoticeable = 0.05;  // of a latency

json finite_or_null(double x) { return std::isfinite(x) ? json(x) : json(); }

// Multiply-accumulates a second that were really done: what the peak bounds.
double multiplied_gmacs(const json& latency) {
  return utilization_gmacs(latency.at("multiplications"), latency.at("median"));
}

bool steady(const json& latency) { return is_steady(latency.at("disturbed"), latency.at("runs")); }

json table_row(const ScaledNetwork& c, const json& training, json latency, const json& peak) {
  const Counters counters = count(c.arch);
  const double gmacs = utilization_gmacs(counters.macs, latency.at("median"));
  const double multiplied = multiplied_gmacs(latency);
  latency["steady"] = steady(latency);
  return {{"method", c.method},
          {"params", counters.params},
          {"macs", counters.macs},
          {"ops_thop2021", counters.ops_thop2021},
          {"resolution", c.arch.resolution},
          {"widths", widths(c.arch)},
          {"predicted_ms", c.latency_ms},
          {"measured_ms", latency},
          {"gmacs_per_s", gmacs},
          {"multiplied_gmacs_per_s", multiplied},
          {"peak_fraction", peak.is_null() ? json() : json(peak_fraction(multiplied, peak))},
          {"top1", training.at("top1")},
          {"weights", training.at("weights")},
          {"limit", c.limit}};
}

json plan_row(const std::string& name, const ScalingPlan& plan) {
  json layers = json::array(), steps = json::array();
  for (const LayerPlan& l : plan.result.layers) {
    layers.push_back(
        {{"name", l.layer}, {"before", l.before}, {"after", l.after}, {"reason", l.reason}});
  }
  for (const ScalingStep& s : plan.result.steps) {
    steps.push_back({{"layer", plan.result.layers[s.layer].layer},
                     {"width", s.width},
                     {"latency_ms", s.latency_ms},
                     {"params", s.params}});
  }
  return {{"name", name},
          {"gain", to_string(plan.options.criterion)},
          {"policy", to_string(plan.options.policy)},
          {"stride", plan.options.stride},
          {"resolution", plan.resolution},
          {"layers", layers},
          {"steps", steps},
          {"stop", to_string(plan.result.stop)},
          {"warnings", plan.warnings},
          {"budget",
           {{"latency_ms", finite_or_null(plan.budget.latency_ms)},
            {"params", finite_or_null(plan.budget.params)}}}};
}

json latency_fit(const std::string& name, const LatencyError& error,
                 const std::vector<NetworkTiming>& timings) {
  json points = json::array();
  for (std::size_t i = 0; i < timings.size(); ++i) {
    points.push_back({error.predicted[i], timings[i].total_ms});
  }
  return {{"name", name},   {"median_error", error.median}, {"max_error", error.worst},
          {"r2", error.r2}, {"networks", error.networks},   {"points", points}};
}

// Networks of the sweep that a busy machine disturbed.
std::int64_t unsteady_points(const ResultParts& parts) {
  std::int64_t points = 0;
  for (const json& dimension : parts.sweep) {
    for (const json& point : dimension) points += !point.at("steady");
  }
  return points;
}

// The same of the latency model, the table and the sweep.
std::int64_t unsteady_figures(const ResultParts& parts) {
  std::int64_t figures = parts.unsteady_timings + unsteady_points(parts);
  for (const json& latency : parts.latency) figures += !steady(latency);
  return figures;
}

// What a reader must know of a network's measured latency.
void add_latency_notes(json& all, const ScaledNetwork& c, const json& latency,
                       const ResultParts& parts) {
  const double drift = latency.at("drift"), ms = latency.at("median");
  const json& peak = parts.peak.at("peak_gmacs");
  if (!steady(latency)) {
    all.push_back(fmt::format(
        "{}: its latency is unsteady: {} of {} runs waited for a core, after {} were taken again.",
        c.method, latency.at("disturbed").get<int>(), latency.at("runs").get<int>(),
        latency.at("repeated").get<int>()));
  }
  if (std::abs(drift) >= kNoticeable) {
    all.push_back(fmt::format("{}: its latency drifted by {:+.0f} % while it was measured.",
                              c.method, 100 * drift));
  }
  // Plans name theirs in their warnings.
  const std::size_t extrapolated = c.plan ? 0 : parts.model.extrapolated(c.arch).size();
  if (extrapolated > 0) {
    all.push_back(fmt::format(
        "{}: {} of its operations lie outside what was timed, their latency is extrapolated.",
        c.method, extrapolated));
  }
  if (ms > (1 + kNoticeable) * parts.budget.latency_limit()) {
    all.push_back(
        fmt::format("{}: measures {:.3g} ms, above the budget of {:.3g} ms (predicted {:.3g}).",
                    c.method, ms, parts.budget.latency_limit(), c.latency_ms));
  }
  if (!peak.is_null() && multiplied_gmacs(latency) > peak) {
    all.push_back(fmt::format(
        "{}: utilization is {:.0f} % of the measured peak, which no network can have: measure "
        "again on an idle machine.",
        c.method, 100 * peak_fraction(multiplied_gmacs(latency), peak)));
  }
}

json notes(const ResultParts& parts) {
  json all = json::array();
  const TrainConfig& train = parts.recipe.train;
  all.push_back(fmt::format("Accuracy is the {}.", shown_accuracy(train, "test")));
  all.push_back(
      train.validation > 0
          ? "Epochs and alpha are chosen by images held out of the training set; the test "
            "images are used once, when a network of the table has been trained."
          : "Nothing is held out: alpha is chosen by the accuracy of short trainings on "
            "the same test images.");
  all.push_back(
      "Latency is that of the network alone: the image is a tensor already, batch norm is folded, "
      "ReLU fused, weights are packed.");
  if (const std::string note = parts.importance.at("note"); !note.empty()) all.push_back(note);
  for (const ScaledNetwork& n : parts.networks) {
    if (!n.plan) continue;
    for (const std::string& w : n.plan->warnings) all.push_back(n.method + ": " + w);
  }
  if (parts.unsteady_timings > 0) {
    all.push_back(fmt::format(
        "The budget was decided on unsteady times, as --allow-unsteady asked: a busy machine "
        "disturbed those of {} networks that the latency model was fitted on.",
        parts.unsteady_timings));
  }
  if (const std::int64_t points = unsteady_points(parts); points > 0) {
    all.push_back(fmt::format(
        "Utilization: the latencies of {} networks of the sweep are unsteady: a busy machine "
        "disturbed them.",
        points));
  }
  if (parts.recipe.latency.foreign) {
    all.push_back(
        "The latency model was measured elsewhere; the measured column is of this device.");
  }
  for (std::size_t i = 0; i < parts.networks.size(); ++i) {
    add_latency_notes(all, parts.networks[i], parts.latency[i], parts);
  }
  return all;
}

// One level of scalars, and of the schedule only what its kind uses.
json training_facts(const TrainConfig& config) {
  json facts = json::parse(to_json(config));
  const json schedule = facts["schedule"];
  for (const char* key : {"data", "seed"}) facts.erase(key);
  facts["schedule"] = schedule["kind"];
  for (const char* key : {"lr", "warmup"}) facts[key] = schedule[key];
  if (config.schedule.warmup > 0) facts["warmup_style"] = config.schedule.warmup_style;
  if (config.schedule.kind == "step") {
    facts["milestones"] = fmt::format("{}", fmt::join(config.schedule.milestones, ", "));
    facts["gamma"] = config.schedule.gamma;
  }
  if (config.schedule.kind == "exponential") facts["beta"] = config.schedule.beta;
  return facts;
}

}  // namespace

Interval accuracy_interval(const std::vector<double>& values, std::int64_t images) {
  return values.size() > 1 ? interval95(values) : interval95(values.at(0), images);
}

json accuracy_json(const std::vector<double>& values, std::int64_t images, const char* set) {
  const Interval i = accuracy_interval(values, images);
  return {{"mean", i.mean},
          {"low", std::max(0.0, i.low)},
          {"high", std::min(1.0, i.high)},
          {"values", values},
          {"interval", values.size() > 1
                           ? fmt::format("95 % over {} seeds", values.size())
                           : fmt::format("95 % (Wilson) over {} {} images", images, set)}};
}

json importance_json(const std::vector<LayerSamples>& layers,
                     const std::vector<ImportanceLaw>& laws) {
  json rows = json::array();
  for (std::size_t l = 0; l < layers.size(); ++l) {
    json points = json::array();
    for (const ImportanceSample& s : layers[l].samples) points.push_back({s.width, s.importance});
    rows.push_back({{"layer", layers[l].layer},
                    {"points", points},
                    {"a", laws[l].a},
                    {"b", laws[l].b},
                    {"fitted_b", laws[l].fitted_b},
                    {"residuals", laws[l].residuals},
                    {"r2", laws[l].r2},
                    {"warning", laws[l].warning}});
  }
  return {
      {"layers", rows}, {"laws", json::parse(to_json(laws))}, {"note", collinearity_note(layers)}};
}

json latency_models_json(const std::vector<NetworkTiming>& timings, std::int64_t block) {
  json rows = json::array();
  for (const LatencyModelKind kind : {LatencyModelKind::table, LatencyModelKind::regression}) {
    rows.push_back(latency_fit(fit_latency(kind, timings, block)->name(),
                               cross_validate(kind, timings, 5, block), timings));
  }
  return rows;
}

json latency_check_json(const LatencyModel& model, const std::vector<NetworkTiming>& timings) {
  return latency_fit(model.name() + ", scaled networks", prediction_error(model, timings), timings);
}

json sweep_json(const std::vector<SweepPoint>& points, const json& times) {
  json sweep{{"width", json::array()}, {"depth", json::array()}, {"resolution", json::array()}};
  for (std::size_t i = 0; i < points.size(); ++i) {
    const SweepPoint& p = points[i];
    const double ms = times[i].at("median");
    const std::string label = p.dimension == "resolution"
                                  ? fmt::format("R={}", p.arch.resolution)
                                  : fmt::format("{}={:.2f}", p.dimension[0], p.factor);
    sweep[p.dimension].push_back({{"label", label},
                                  {"macs", p.macs},
                                  {"params", count(p.arch).params},
                                  {"ms", ms},
                                  {"steady", steady(times[i])},
                                  {"gmacs_per_s", utilization_gmacs(p.macs, ms)}});
  }
  return sweep;
}

std::string assemble_results(const ResultParts& parts) {
  const json& peak = parts.peak.at("peak_gmacs");
  const Machine& machine = parts.measured_on.machine;
  const Placement& where = parts.measured_on.where;
  json table = json::array(), plans = json::array();
  for (std::size_t i = 0; i < parts.networks.size(); ++i) {
    const ScaledNetwork& n = parts.networks[i];
    table.push_back(table_row(n, parts.training[i], parts.latency[i], peak));
    if (n.plan) plans.push_back(plan_row(n.method, *n.plan));
  }
  const json recipe = json::parse(to_json(parts.recipe));
  json settings;
  for (const char* section : {"importance", "latency", "alpha", "scale", "sweep"}) {
    settings[section] = recipe[section];
  }
  const json results{
      {"schema", 1},
      {"recipe", parts.recipe.name},
      {"command", parts.command},
      {"created", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
      {"machine",
       {{"cpu", machine.cpu},
        {"cores", machine.cores},
        {"threads", machine.threads},
        {"isa", machine.isa},
        {"device", runtime_of(where.device).name(where.device)},
        {"dtype", name_of(where.dtype)},
        {"peak_gmacs", peak},
        {"peak_of", parts.peak.at("peak_of")},
        {"bandwidth_gbs", parts.peak.at("bandwidth_gbs")}}},
      {"versions",
       {{"hacscale", HAC_VERSION}, {"onednn", machine.onednn}, {"compiler", machine.compiler}}},
      {"dataset", parts.dataset},
      {"baseline", parts.baseline.name},
      {"seeds", parts.recipe.seeds},
      {"training", training_facts(parts.recipe.train)},
      {"settings", settings},
      {"budget",
       {{"latency_ms", finite_or_null(parts.budget.latency_ms)},
        {"latency_text", parts.recipe.scale.latency},
        {"params", finite_or_null(parts.budget.params)},
        {"params_text", parts.recipe.scale.params}}},
      {"unsteady_figures", unsteady_figures(parts)},
      {"accuracy",
       {{"table", shown_accuracy(parts.recipe.train, "test")},
        {"alpha", shown_accuracy(parts.recipe.train, evaluated_set(parts.recipe.train))}}},
      {"table", table},
      {"sweeps", parts.sweep},
      {"importance", parts.importance.at("layers")},
      {"alpha", parts.alpha},
      {"plans", plans},
      {"latency_models", parts.latency_models},
      {"notes", notes(parts)}};
  return results.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace hac
