// ScalingPlan as JSON, and the names of its choices.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "scaling/json_fields.h"
#include "scaling/latency_parts.h"
#include "scaling/width_scaling.h"

namespace hac {

namespace {

const char* const kPolicies[] = {"paper", "rollback", "fill"};
const char* const kCriteria[] = {"plain", "per-latency", "per-param"};
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
  return {
      {"policy", to_string(o.policy)},  {"gain", to_string(o.criterion)}, {"stride", o.stride},
      {"tie_residual", o.tie_residual}, {"width_cap", o.width_cap},       {"step_cap", o.step_cap}};
}

}  // namespace

std::string to_string(StepPolicy policy) { return kPolicies[static_cast<int>(policy)]; }
std::string to_string(WideningCriterion criterion) {
  return kCriteria[static_cast<int>(criterion)];
}
std::string to_string(StopReason reason) { return kStops[static_cast<int>(reason)]; }
StepPolicy parse_step_policy(const std::string& name) {
  return parse_name<StepPolicy>(kPolicies, name, "step policy");
}
WideningCriterion parse_widening_criterion(const std::string& name) {
  return parse_name<WideningCriterion>(kCriteria, name, "gain");
}

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

}  // namespace hac
