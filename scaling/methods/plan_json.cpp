// ScalingPlan as JSON.

#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/methods/width_scaling.h"

namespace hac {

std::string to_json(const ScalingPlan& plan) {
  using Json = nlohmann::ordered_json;
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
            {"budget", to_json(fields_of(plan.budget))},
            {"options", to_json(fields_of(plan.options))},
            {"feasible", plan.feasible()},
            {"stop", to_string(r.stop)},
            {"baseline", {{"latency_ms", r.baseline_ms}, {"params", r.baseline_params}}},
            {"scaled", {{"latency_ms", r.latency_ms}, {"params", r.params}}},
            {"layers", layers},
            {"steps", steps},
            {"warnings", plan.warnings}};
  json.update(origin_json(plan.latency_source, plan.latency_error));
  return json.dump(1);
}

}  // namespace hac
