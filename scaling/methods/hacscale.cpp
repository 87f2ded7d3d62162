// HACScale: N(1, r, 1), widened layer by layer by Algorithm 1.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/methods/method.h"

namespace hac {

namespace {

std::vector<std::string> law_warnings(std::span<const ImportanceLaw> laws,
                                      std::int64_t resolution) {
  std::vector<std::string> warnings;
  for (const ImportanceLaw& law : laws) {
    if (!law.warning.empty()) warnings.push_back(fmt::format("{}: {}", law.layer, law.warning));
    if (law.b >= 0 && law.a > 0) {
      warnings.push_back(fmt::format(
          "{}: the exponent {:.4g} is not below 0, widening never makes it less important",
          law.layer, law.b));
    }
    if (law.resolution != 0 && law.resolution != resolution) {
      warnings.push_back(fmt::format("{}: the law was sampled at resolution {}, the plan is for {}",
                                     law.layer, law.resolution, resolution));
    }
  }
  return warnings;
}

}  // namespace

ScalingPlan decide(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                   const LatencyModel& model, const Budget& budget,
                   const WideningOptions& options) {
  WideningProblem problem{.names = width_names(baseline),
                          .widths = widths(baseline),
                          .laws = {laws.begin(), laws.end()}};
  for (std::size_t l = 0; l < laws.size() && l < problem.names.size(); ++l) {
    if (!laws[l].layer.empty() && laws[l].layer != problem.names[l]) {
      throw ConfigError(fmt::format("width scaling: expected the law of '{}', got the one of '{}'",
                                    problem.names[l], laws[l].layer));
    }
  }
  if (options.tie_residual) problem.groups = residual_groups(baseline);
  for (int l = 0; !options.tie_residual && l < std::ssize(problem.widths); ++l) {
    problem.groups.push_back({l});
  }
  problem.latency_ms = [&](const std::vector<std::int64_t>& widths) {
    return model.predict(with_widths(baseline, widths));
  };
  problem.params = [&](const std::vector<std::int64_t>& widths) {
    return count(with_widths(baseline, widths)).params;
  };
  ScalingPlan plan{.architecture = baseline.name,
                   .resolution = baseline.resolution,
                   .latency_model = model.name(),
                   .latency_source = model.source,
                   .latency_error = model.error,
                   .budget = budget,
                   .options = options,
                   .result = widen(problem, budget, options)};
  plan.warnings = law_warnings(laws, baseline.resolution);
  for (std::string& line : model_warnings(model, budget, plan.result.baseline_ms)) {
    plan.warnings.push_back(std::move(line));
  }
  for (std::string& line : model.extrapolated(with_widths(baseline, plan.result.widths()))) {
    plan.warnings.push_back(std::move(line));
  }
  return plan;
}

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

namespace {

Method hacscale(WideningCriterion criterion) {
  const char* const worth = criterion == WideningCriterion::plain         ? ""
                            : criterion == WideningCriterion::per_latency ? " for its latency"
                                                                          : " for its parameters";
  const std::string name = fmt::format("hacscale ({})", to_string(criterion));
  return {.key = "hacscale-" + to_string(criterion),
          .name = name,
          .help = fmt::format("wider where a kernel is the most important{} (Algorithm 1)", worth),
          .needs_laws = true,
          .decide = [=](const ScalingTask& task) -> ScaledNetwork {
            const Architecture grown = task.resolution > 0
                                           ? with_resolution(task.baseline, task.resolution)
                                           : task.baseline;
            WideningOptions options = task.widening;
            options.criterion = criterion;
            ScalingPlan plan = decide(grown, task.laws, task.model, task.budget, options);
            return {.method = name,
                    .arch = with_widths(grown, plan.result.widths()),
                    .latency_ms = plan.result.latency_ms,
                    .params = plan.result.params,
                    .limit = to_string(plan.result.stop),
                    .plan = std::move(plan)};
          }};
}

}  // namespace

Method hacscale_plain() { return hacscale(WideningCriterion::plain); }
Method hacscale_per_latency() { return hacscale(WideningCriterion::per_latency); }
Method hacscale_per_param() { return hacscale(WideningCriterion::per_param); }

}  // namespace hac
