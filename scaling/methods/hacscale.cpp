// HACScale: N(1, r, 1), widened layer by layer by Algorithm 1.

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/methods/method.h"
#include "scaling/methods/optimum.h"
#include "scaling/methods/width_costs.h"

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
  if (const auto untied = untied_blocks(baseline); options.tie_residual && !untied.empty()) {
    plan.warnings.push_back(fmt::format("not tied, as their input and output differ in width: {}",
                                        fmt::join(untied, ", ")));
  }
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

ScalingPlan decide_by_edges(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                            const LatencyModel& model, const Budget& budget,
                            const WideningOptions& options) {
  const WideningProblem problem = widening_problem(baseline, laws, model, options);
  std::optional<WidthCosts> costs;
  if (WidthCosts::possible(baseline)) costs.emplace(baseline, model);
  std::vector<std::vector<int>> terms(problem.groups.size());
  for (int t = 0; costs && t < costs->terms(); ++t) {
    for (std::size_t g = 0; g < terms.size(); ++g) {
      const bool depends =
          std::ranges::find_first_of(problem.groups[g], costs->scope(t)) != problem.groups[g].end();
      if (depends) terms[g].push_back(t);
    }
  }
  const auto latency = [&](const std::vector<std::int64_t>& widths, int group) {
    double ms = 0;
    for (const int t : terms[group]) ms += costs->cost(t, widths).ms;
    return ms;
  };
  return plan_of(
      baseline, laws, model, budget, options,
      widen_to_edges(problem, budget, options, costs ? GroupLatency(latency) : GroupLatency()));
}

std::string to_json(const ScalingPlan& plan) { return to_json(fields_of(plan)).dump(1); }

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

void spend_as_uniform(ScalingTask& task, double alpha, double s) {
  const Architecture uniform =
      method_of("compound").scale(task.baseline, std::array{alpha, s}, task.rounding);
  task.resolution = uniform.resolution;
  task.budget = {.params = static_cast<double>(count(uniform).params)};
}

ScaledNetwork network_of(ScalingPlan plan, const Architecture& grown) {
  return {.arch = with_widths(grown, plan.result.widths()),
          .cost = plan.result.scaled,
          .limit = to_string(plan.result.stop),
          .plan = std::move(plan)};
}

namespace {

// A row that decides so, by the options of the task, changed as it says.
Method row(const char* key, const char* name, const char* help,
           const std::function<void(WideningOptions&)>& change, decltype(&decide) by = decide) {
  return {.key = key,
          .name = name,
          .help = help,
          .needs_laws = true,
          .decide = [=](const ScalingTask& task) {
            const Architecture grown = grown_of(task);
            WideningOptions options = task.widening;
            change(options);
            ScalingPlan plan = by(grown, task.laws, task.model, widening_budget(task), options);
            return network_of(with_gap(std::move(plan), grown, task.laws, task.model), grown);
          }};
}

auto criterion(WideningCriterion is) {
  return [=](WideningOptions& options) { options.criterion = is; };
}

auto preset(std::size_t i) {
  return [=](WideningOptions& options) { options = widening_presets[i].options; };
}

}  // namespace

Method hacscale_plain() {
  return row("hacscale", "hacscale (plain)",
             "wider where a kernel is the most important (Algorithm 1)",
             criterion(WideningCriterion::plain));
}
Method hacscale_paper() {
  return row("hacscale-paper", "hacscale (paper)",
             "wider where a kernel is the most important, as printed: stride 10, one step over",
             preset(0));
}
Method hacscale_safe() {
  return row("hacscale-safe", "hacscale (safe)",
             "wider where a kernel is the most important, stride 8, rollback, tied", preset(1));
}
Method hacscale_per_latency() {
  return row("hacscale-per-latency", "hacscale (per-latency)",
             "wider where a kernel is the most important for its latency",
             criterion(WideningCriterion::per_latency));
}
Method hacscale_per_param() {
  return row("hacscale-per-param", "hacscale (per-param)",
             "wider where a kernel is the most important for its parameters",
             criterion(WideningCriterion::per_param));
}
Method hacscale_cost() {
  return row(
      "hacscale-cost", "hacscale (cost)",
      "importance gained per millisecond, only to where latency rises again",
      [](WideningOptions&) {}, decide_by_edges);
}

const Method& method_by(WideningCriterion criterion) {
  return method_of(criterion == WideningCriterion::plain ? "hacscale"
                                                         : "hacscale-" + to_string(criterion));
}

}  // namespace hac
