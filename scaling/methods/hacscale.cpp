// HACScale: N(1, r, 1), widened layer by layer by Algorithm 1.

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/methods/method.h"
#include "scaling/methods/optimum.h"

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

WideningProblem widening_problem(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                                 const LatencyModel& model, const WideningOptions& options) {
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
  problem.cost = [&](const std::vector<std::int64_t>& widths) {
    return cost_of(with_widths(baseline, widths), model);
  };
  return problem;
}

ScalingPlan plan_of(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                    const LatencyModel& model, const Budget& budget, const WideningOptions& options,
                    WideningResult result) {
  ScalingPlan plan{.architecture = baseline.name,
                   .resolution = baseline.resolution,
                   .latency_model = model.name(),
                   .latency_source = model.source,
                   .latency_error = model.error,
                   .budget = budget,
                   .options = options,
                   .result = std::move(result)};
  plan.warnings = law_warnings(laws, baseline.resolution);
  for (std::string& line : model_warnings(model, budget, plan.result.baseline.latency_ms)) {
    plan.warnings.push_back(std::move(line));
  }
  for (std::string& line : model.extrapolated(with_widths(baseline, plan.result.widths()))) {
    plan.warnings.push_back(std::move(line));
  }
  return plan;
}

ScalingPlan decide(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                   const LatencyModel& model, const Budget& budget,
                   const WideningOptions& options) {
  const WideningProblem problem = widening_problem(baseline, laws, model, options);
  return plan_of(baseline, laws, model, budget, options, widen(problem, budget, options));
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
  const auto cost = [](const NetworkCost& c) {
    return Json{
        {"latency_ms", c.latency_ms}, {"params", c.params}, {"memory_bytes", c.memory_bytes}};
  };
  Json json{{"architecture", plan.architecture},
            {"resolution", plan.resolution},
            {"latency_model", plan.latency_model},
            {"budget", to_json(fields_of(plan.budget))},
            {"options", to_json(fields_of(plan.options))},
            {"feasible", plan.feasible()},
            {"stop", to_string(r.stop)},
            {"baseline", cost(r.baseline)},
            {"scaled", cost(r.scaled)},
            {"layers", layers},
            {"steps", steps},
            {"warnings", plan.warnings}};
  if (plan.optimality) json["optimality"] = to_json(fields_of(*plan.optimality));
  json.update(origin_json(plan.latency_source, plan.latency_error));
  return json.dump(1);
}

Architecture grown_of(const ScalingTask& task) {
  return task.resolution > 0 ? with_resolution(task.baseline, task.resolution) : task.baseline;
}

Budget widening_budget(const ScalingTask& task) {
  Budget budget = task.budget;
  if (std::isfinite(budget.params) || !std::isfinite(budget.latency_ms)) return budget;
  const Architecture grown = grown_of(task);
  const ScaledNetwork uniform = method_of("uniform-width")
                                    .to_budget({.baseline = grown,
                                                .model = task.model,
                                                .budget = budget,
                                                .rounding = task.rounding});
  if (uniform.feasible()) budget.params = static_cast<double>(uniform.cost.params);
  return budget;
}

ScaledNetwork network_of(ScalingPlan plan, const Architecture& grown) {
  return {.arch = with_widths(grown, plan.result.widths()),
          .cost = plan.result.scaled,
          .limit = to_string(plan.result.stop),
          .plan = std::move(plan)};
}

namespace {

// The options of the task, changed as the row says.
Method hacscale(const char* key, const char* name, const char* help,
                const std::function<WideningOptions(WideningOptions)>& change) {
  return {.key = key,
          .name = name,
          .help = std::string("wider where a kernel is the most important") + help,
          .needs_laws = true,
          .decide = [=](const ScalingTask& task) {
            const Architecture grown = grown_of(task);
            ScalingPlan plan =
                decide(grown, task.laws, task.model, widening_budget(task), change(task.widening));
            return network_of(with_gap(std::move(plan), grown, task.laws, task.model), grown);
          }};
}

auto by(WideningCriterion criterion) {
  return [=](WideningOptions options) {
    options.criterion = criterion;
    return options;
  };
}

auto preset(std::size_t i) {
  return [=](const WideningOptions&) { return widening_presets[i].options; };
}

}  // namespace

Method hacscale_plain() {
  return hacscale("hacscale", "hacscale (plain)", " (Algorithm 1)", by(WideningCriterion::plain));
}
Method hacscale_paper() {
  return hacscale("hacscale-paper", "hacscale (paper)", ", as printed: stride 10, one step over",
                  preset(0));
}
Method hacscale_safe() {
  return hacscale("hacscale-safe", "hacscale (safe)", ", stride 8, rollback, tied", preset(1));
}
Method hacscale_per_latency() {
  return hacscale("hacscale-per-latency", "hacscale (per-latency)", " for its latency",
                  by(WideningCriterion::per_latency));
}
Method hacscale_per_param() {
  return hacscale("hacscale-per-param", "hacscale (per-param)", " for its parameters",
                  by(WideningCriterion::per_param));
}

const Method& method_by(WideningCriterion criterion) {
  return method_of(criterion == WideningCriterion::plain ? "hacscale"
                                                         : "hacscale-" + to_string(criterion));
}

}  // namespace hac
