#pragma once
// Importance-aware width scaling (paper section III-C, Algorithm 1). Start from the baseline's
// widths; again and again add `stride` kernels to the layer with the largest predicted importance
// I_l = a_l C_l^b_l and update only that importance, while Latency <= L and Memory <= M.
//
// With all b_l < 0 this is water filling: widened layers end at a common level of importance, to
// within one stride.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "models/arch/architecture.h"
#include "scaling/importance/law.h"
#include "scaling/latency/latency.h"
#include "scaling/methods/budget.h"

namespace hac {

// What to do with the step that breaks a limit.
enum class StepPolicy : std::uint8_t {
  paper,     // keep it: the paper tests before the update, so its result overshoots by one step
  rollback,  // undo it and stop
  fill,      // undo it, freeze that layer and continue with the others
};
// Which layer is the most important: the largest I, or the largest I for what the step costs.
enum class WideningCriterion : std::uint8_t { plain, per_latency, per_param };

template <>
inline constexpr std::string_view enum_names<StepPolicy>[] = {"paper", "rollback", "fill"};
template <>
inline constexpr std::string_view enum_names<WideningCriterion>[] = {"plain", "per-latency",
                                                                     "per-param"};

struct WideningOptions {
  StepPolicy policy = StepPolicy::rollback;
  WideningCriterion criterion = WideningCriterion::plain;
  std::int64_t stride = 8;
  bool tie_residual = false;       // widths that share a residual stream move together
  std::int64_t width_cap = 16384;  // no layer grows beyond it
  std::int64_t step_cap = 20000;

  Fields fields() {
    return Fields()
        .add("policy", policy, "for the step that breaks a limit")
        .add("gain", criterion, "importance as it is, or for its cost")
        .add("stride", stride, {1, 65536}, "kernels added in a step")
        .add("tie_residual", tie_residual, "widths of a residual stream move together",
             {.flag = "--tie"})
        .add("width_cap", width_cap, {1, 1 << 20}, "no layer grows beyond it")
        .add("step_cap", step_cap, {0, 1000000}, "at most so many steps");
  }
  bool operator==(const WideningOptions&) const = default;
};

struct WideningPreset {
  const char* name;
  const char* help;
  WideningOptions options;
};
inline const WideningPreset widening_presets[] = {
    {"paper",
     "as printed: stride 10, untied, one step over",
     {.policy = StepPolicy::paper, .stride = 10}},
    {"safe", "stride 8, rollback, tied", {.stride = 8, .tie_residual = true}}};

struct ScalingStep {
  int layer = 0;            // index into the layers
  std::int64_t width = 0;   // its new width; tied layers grow by as much
  double importance = 0;    // that made it the choice
  double latency_ms = 0;    // predicted, after the step
  std::int64_t params = 0;  // after the step

  Fields fields() { return HAC_FIELDS(width, importance, latency_ms, params); }  // but the layer
  bool operator==(const ScalingStep&) const = default;
};

struct LayerPlan {
  std::string layer;
  std::int64_t before = 0, after = 0;
  std::string reason;
  double factor() const { return static_cast<double>(after) / static_cast<double>(before); }

  Fields fields() {
    return HAC_FIELDS(layer, before, after).add("factor", AnyValue(factor())).add("reason", reason);
  }
  bool operator==(const LayerPlan&) const = default;
};

// Algorithm 1 on anything that has widths and costs, which are a function of all widths.
struct WideningProblem {
  std::vector<std::string> names;
  std::vector<std::int64_t> widths;  // C_l^0
  std::vector<ImportanceLaw> laws;
  std::vector<std::vector<int>> groups;  // partition of the layers; members grow together
  std::function<NetworkCost(const std::vector<std::int64_t>&)> cost;
};

struct WideningResult {
  std::vector<LayerPlan> layers;
  std::vector<ScalingStep> steps;
  StopReason stop = StopReason::step_cap;
  NetworkCost baseline, scaled;
  std::vector<std::int64_t> widths() const;

  Fields fields();
  bool operator==(const WideningResult&) const = default;
};

// Throws ConfigError: sizes that differ, a law that is not finite, stride, caps or slack out of
// range, or no finite limit at all.
void validate(const WideningProblem& problem, const Budget& budget, const WideningOptions& options);
// Nothing done yet: the baseline, and whether it is within the budget.
WideningResult unwidened(const WideningProblem& problem, const Budget& budget);

// A group's importance is the mean of its members'. Ties go to the earlier group. Throws
// as validate().
WideningResult widen(const WideningProblem& problem, const Budget& budget,
                     const WideningOptions& options = {});

// Milliseconds of all that depends on the widths of a group, for scans.
using GroupLatency = std::function<double(const std::vector<std::int64_t>& widths, int group)>;

// Widening by importance per predicted millisecond, on the right-hand edges of the staircase alone
// (arXiv 2011.03897: just before a tile, wave or vector block begins, channels are free). Latency
// is scanned kernel by kernel. A layer's next widths are
//
//   the end of the plateau that it is on, if it is not there yet: those kernels are free;
//   else the first end of a plateau that is at least a stride away, and those before it.
//
// Where latency rises with every kernel, each stride is an edge. The layer whose first choice has
// the most gain G_l (optimum.h) for its milliseconds is widened, free kernels before all others.
// What breaks a limit gives way to a smaller edge of the layer, and freezes it where none fits.
// As widen(); of the options the policy and the criterion are not read. Null: the whole latency.
WideningResult widen_to_edges(const WideningProblem& problem, const Budget& budget,
                              const WideningOptions& options = {}, GroupLatency latency = {});

// The gain of a plan (optimum.h) beside the best that was found, and what none can exceed.
struct OptimalityGap {
  double gain = 0, optimum = 0, bound = 0;
  bool proven = false;  // the optimum is one, and the bound equals it
  double gap() const { return bound > 0 ? 1 - gain / bound : 0; }

  Fields fields() {
    return HAC_FIELDS(gain, optimum, bound, proven).add("gap", AnyValue(gap()), {.optional = true});
  }
  bool operator==(const OptimalityGap&) const = default;
};

struct ScalingPlan {
  std::string architecture;     // name of the baseline
  std::int64_t resolution = 0;  // of N(1, r, 1) and of the result
  std::string latency_model;
  std::optional<LatencySource> latency_source;  // of that model, as latency.h has them
  std::optional<LatencyError> latency_error;
  Budget budget;
  WideningOptions options;
  WideningResult result;
  std::optional<OptimalityGap> optimality;
  // Doubtful laws, laws of another resolution, a latency model that errs by more than the budget's
  // room or does not say by how much, extrapolation.
  std::vector<std::string> warnings;
  bool feasible() const { return result.stop != StopReason::infeasible; }

  Fields fields() {
    return HAC_FIELDS(architecture, resolution, latency_model, budget, options)
        .add("feasible", AnyValue(feasible()))
        .add(result.fields())
        .add(HAC_FIELDS(warnings, optimality))
        .add("measured_on", latency_source)
        .add("error", latency_error);
  }
  bool operator==(const ScalingPlan&) const = default;
};

// Algorithm 1's problem of a network, and the plan of what a method made of it.
WideningProblem widening_problem(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                                 const LatencyModel& model, const WideningOptions& options);
ScalingPlan plan_of(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                    const LatencyModel& model, const Budget& budget, const WideningOptions& options,
                    WideningResult result);

// `baseline` is N(1, r, 1): the network at its final resolution, unwidened. Laws in the order of
// widths(baseline). A budget below the baseline gives an unchanged, infeasible plan.
ScalingPlan decide(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                   const LatencyModel& model, const Budget& budget,
                   const WideningOptions& options = {});
// The same by widen_to_edges().
ScalingPlan decide_by_edges(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                            const LatencyModel& model, const Budget& budget,
                            const WideningOptions& options = {});

// Laws of a deeper network from those of its baseline, in the order of widths(deeper): a unit that
// was added has the laws of the unit that it copies, the last of its stage. Throws ConfigError as
// with_blocks() does.
std::vector<ImportanceLaw> laws_of_deeper(const Architecture& baseline,
                                          std::span<const ImportanceLaw> laws,
                                          const std::vector<std::int64_t>& blocks);

std::string to_json(const ScalingPlan& plan);

}  // namespace hac
