// ScalingPlan as JSON, and the names of its choices.

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "scaling/json_fields.h"
#include "scaling/latency_parts.h"
#include "scaling/width_scaling.h"

namespace hac {

namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 53;  // exact in every reader of JSON

const char* const kPolicies[] = {"paper", "rollback", "fill"};
const char* const kGains[] = {"plain", "per-latency", "per-param"};
const char* const kStops[] = {"latency",   "params",   "latency+params",
                              "width-cap", "step-cap", "infeasible"};

template <typename Enum, std::size_t N>
Enum parse_name(const char* const (&names)[N], const std::string& name, const char* what) {
  std::string all;
  for (std::size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
    all += (i ? " | " : "") + std::string(names[i]);
  }
  throw ConfigError(fmt::format("{}: expected {}, got '{}'", what, all, name.substr(0, 40)));
}

Json options_json(const WideningOptions& o) {
  return {{"policy", to_string(o.policy)},  {"gain", to_string(o.gain)}, {"stride", o.stride},
          {"tie_residual", o.tie_residual}, {"width_cap", o.width_cap},  {"step_cap", o.step_cap}};
}

WideningOptions options_from(const Json& j) {
  const std::string what = "plan options";
  expect_keys(j, {"policy", "gain", "stride", "tie_residual", "width_cap", "step_cap"}, what);
  return {.policy = parse_step_policy(text_field(j, "policy", what)),
          .gain = parse_gain(text_field(j, "gain", what)),
          .stride = integer_field(j, "stride", 1, 65536, what),
          .tie_residual = bool_field(j, "tie_residual", what),
          .width_cap = integer_field(j, "width_cap", 1, 1 << 20, what),
          .step_cap = integer_field(j, "step_cap", 0, 1000000, what)};
}

LayerPlan layer_from(const Json& j, std::size_t index) {
  const std::string what = fmt::format("plan layer {}", index);
  expect_keys(j, {"layer", "before", "after", "factor", "reason"}, what);
  LayerPlan layer{.layer = text_field(j, "layer", what),
                  .before = integer_field(j, "before", 1, 1 << 20, what),
                  .reason = text_field(j, "reason", what)};
  layer.after = integer_field(j, "after", layer.before, 1 << 20, what);  // never narrower
  return layer;
}

ScalingStep step_from(const Json& j, std::size_t index, const std::map<std::string, int>& layers) {
  const std::string what = fmt::format("plan step {}", index);
  expect_keys(j, {"layer", "width", "importance", "latency_ms", "params"}, what);
  const std::string name = text_field(j, "layer", what);
  ScalingStep step{.width = integer_field(j, "width", 1, 1 << 20, what),
                   .importance = number_field(j, "importance", 0, 1e300, what),
                   .latency_ms = number_field(j, "latency_ms", 0, 1e300, what),
                   .params = integer_field(j, "params", 0, kMost, what)};
  const auto it = layers.find(name);
  if (it == layers.end()) {
    throw ConfigError(
        fmt::format("{}: expected a layer of the plan, got '{}'", what, name.substr(0, 40)));
  }
  step.layer = it->second;
  return step;
}

}  // namespace

std::string to_string(StepPolicy policy) { return kPolicies[static_cast<int>(policy)]; }
std::string to_string(Gain gain) { return kGains[static_cast<int>(gain)]; }
std::string to_string(StopReason reason) { return kStops[static_cast<int>(reason)]; }
StepPolicy parse_step_policy(const std::string& name) {
  return parse_name<StepPolicy>(kPolicies, name, "step policy");
}
Gain parse_gain(const std::string& name) { return parse_name<Gain>(kGains, name, "gain"); }

std::string to_json(const ScalingPlan& plan) {
  const WideningResult& r = plan.result;
  Json layers = Json::array(), steps = Json::array();
  for (const LayerPlan& l : r.layers) {
    layers.push_back({{"layer", l.layer},
                      {"before", l.before},
                      {"after", l.after},
                      {"factor", l.factor()},
                      {"reason", l.reason}});
  }
  for (const ScalingStep& s : r.steps) {
    steps.push_back({{"layer", r.layers[s.layer].layer},
                     {"width", s.width},
                     {"importance", s.importance},
                     {"latency_ms", s.latency_ms},
                     {"params", s.params}});
  }
  Json json{{"architecture", plan.architecture},
            {"resolution", plan.resolution},
            {"latency_model", plan.latency_model},
            {"budget",
             {{"latency_ms", limit_json(plan.budget.latency_ms)},
              {"params", limit_json(plan.budget.params)},
              {"latency_slack", plan.budget.latency_slack}}},
            {"options", options_json(plan.options)},
            {"feasible", plan.feasible()},
            {"stop", to_string(r.stop)},
            {"baseline", {{"latency_ms", r.baseline_ms}, {"params", r.baseline_params}}},
            {"scaled", {{"latency_ms", r.latency_ms}, {"params", r.params}}},
            {"layers", layers},
            {"steps", steps},
            {"warnings", plan.warnings}};
  add_origin(json, plan.latency_source, plan.latency_error);
  return json.dump(1);
}

ScalingPlan plan_from_json(const std::string& text) {
  const std::string what = "plan";
  Json j = parse_json(text, what);
  std::optional<LatencySource> source;
  std::optional<LatencyError> error;
  take_origin(j, source, error, what);
  expect_keys(j,
              {"architecture", "resolution", "latency_model", "budget", "options", "feasible",
               "stop", "baseline", "scaled", "layers", "steps", "warnings"},
              what);
  ScalingPlan plan{.architecture = text_field(j, "architecture", what),
                   .resolution = integer_field(j, "resolution", 1, 65536, what),
                   .latency_model = text_field(j, "latency_model", what),
                   .latency_source = source,
                   .latency_error = error};
  const Json& budget = j.at("budget");
  expect_keys(budget, {"latency_ms", "params", "latency_slack"}, "plan budget");
  plan.budget = {.latency_ms = limit_field(budget, "latency_ms", "plan budget"),
                 .params = limit_field(budget, "params", "plan budget"),
                 .latency_slack = number_field(budget, "latency_slack", 0, 10, "plan budget")};
  plan.options = options_from(j.at("options"));
  WideningResult& r = plan.result;
  r.stop = parse_name<StopReason>(kStops, text_field(j, "stop", what), "plan 'stop'");
  if (bool_field(j, "feasible", what) != plan.feasible()) {
    throw ConfigError("plan 'feasible': expected what 'stop' says, got the opposite");
  }
  for (const char* side : {"baseline", "scaled"}) {
    const std::string where = fmt::format("plan {}", side);
    expect_keys(j.at(side), {"latency_ms", "params"}, where);
    const bool baseline = side == std::string("baseline");
    (baseline ? r.baseline_ms : r.latency_ms) =
        number_field(j.at(side), "latency_ms", 0, 1e300, where);
    (baseline ? r.baseline_params : r.params) =
        integer_field(j.at(side), "params", 0, kMost, where);
  }
  std::map<std::string, int> indices;
  for (const Json& layer : array_field(j, "layers", 100000, what)) {
    r.layers.push_back(layer_from(layer, r.layers.size()));
    indices.emplace(r.layers.back().layer, static_cast<int>(indices.size()));
  }
  for (const Json& step : array_field(j, "steps", 1000001, what)) {
    r.steps.push_back(step_from(step, r.steps.size(), indices));
  }
  for (const Json& line : array_field(j, "warnings", 1000000, what)) {
    const Json one{{"warning", line}};
    plan.warnings.push_back(text_field(one, "warning", "plan 'warnings'"));
  }
  return plan;
}

}  // namespace hac
