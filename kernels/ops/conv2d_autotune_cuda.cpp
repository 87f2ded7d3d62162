#include "kernels/ops/conv2d_autotune_cuda.h"

#include <fmt/format.h>

#include <exception>
#include <optional>

#include "kernels/core/error.h"
#include "kernels/cuda/library.h"
#include "kernels/cuda/naming.h"
#include "kernels/ops/conv2d_operands.h"

namespace hac::cuda {
namespace {

constexpr std::size_t kCandidates = 10;
constexpr int kWarmRuns = 3, kRuns = 10;

// TF32 is a matter of f32 alone.
std::string text_of(const PlanOptions& o, const Conv2dSpec& spec) {
  return fmt::format("{},{}{},{}", o.deterministic ? "deterministic" : "any order",
                     o.allow_tf32 && spec.dtype == Dtype::f32 ? "tf32" : "strict",
                     o.exact ? ",exact" : "", o.workspace_limit);
}

// The plan of that name, unless this cuDNN does not have it or it may not be taken.
std::optional<ConvPlan> rebuild(const PlanDevice& device, const Conv2dSpec& spec,
                                const PlanOptions& options, const TunedPlan& tuned) {
  try {
    ConvPlan plan = rebuild_plan(device, spec, tuned.engine, tuned.knobs);
    const bool allowed = objection(plan.config, spec, options).empty() &&
                         plan.workspace_bytes <= options.workspace_limit;
    return allowed ? std::optional(std::move(plan)) : std::nullopt;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError&) {
    return std::nullopt;
  }
}

}  // namespace

Choice fastest(const Conv2dSpec& spec, std::span<const ConvPlan> plans,
               const MeasurePlan& measure) {
  std::vector<std::size_t> run;
  std::vector<double> ms;
  std::exception_ptr first;
  bool all_tried = true;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    try {
      ms.push_back(measure(plans[i]));
      run.push_back(i);
    } catch (const OutOfMemory&) {
      all_tried = false;
      if (!first) first = std::current_exception();
    } catch (const DeviceError&) {
      if (!first) first = std::current_exception();
    }
  }
  if (run.empty()) naming(spec, [&] { std::rethrow_exception(first); });
  const std::size_t best = hac::fastest(ms);
  return {run[best], ms[best], all_tried};
}

ConvPlan Tuner::plan(const PlanDevice& device, const Conv2dSpec& spec, const PlanOptions& options,
                     const MeasurePlan& measure) {
  const TunedKey key{memory_.device(), fmt::format("cudnn {}", cudnnGetVersion()),
                     text_of(options, spec), spec.str()};
  if (const TunedPlan* known = memory_.find(key)) {
    if (auto plan = rebuild(device, spec, options, *known)) return std::move(*plan);
  }
  std::vector<ConvPlan> plans = list_plans(device, spec, options, kCandidates);
  if (plans.empty()) return make_plan(device, spec, options);  // says why there is none
  const Choice choice = fastest(spec, plans, measure);
  ConvPlan& best = plans[choice.index];
  if (choice.all_tried)
    memory_.remember(key, {best.config.engine, best.config.knobs, 1e3 * choice.ms});
  return std::move(best);
}

MeasurePlan measure_on(Context& ctx, const Conv2dSpec& spec, RunPlan run) {
  // Made when first wanted: a remembered plan needs none.
  return
      [&ctx, spec, run, random = std::shared_ptr<RandomOperands>()](const ConvPlan& plan) mutable {
        if (!random) random = std::make_shared<RandomOperands>(ctx, spec);
        const ConvOperands operands{random->x, random->w, random->y,
                                    has_bias(spec) ? random->bias : nullptr, random->residual};
        const std::shared_ptr<void> workspace =
            plan.workspace_bytes > 0
                ? allocate_to_measure(ctx, static_cast<std::size_t>(plan.workspace_bytes))
                : nullptr;
        return recorded_ms(ctx, kWarmRuns, kRuns, [&] { run(plan, operands, workspace.get()); });
      };
}

ConvPlan tuned_plan(Context& ctx, const Conv2dSpec& spec) {
  Library& lib = ctx.cuda();
  const auto run = [&](const ConvPlan& plan, const ConvOperands& operands, void* workspace) {
    execute(lib.cudnn(), plan, spec, operands, workspace);
  };
  return lib.tuner->plan(lib.plan_device(), spec, lib.options, measure_on(ctx, spec, run));
}

void autotune(Library& library, PlanFile file) {
  const std::string device = runtime_cuda.name({DeviceKind::cuda, library.ordinal()});
  library.tuner = std::make_shared<Tuner>(PlanMemory(device, std::move(file)));
}

}  // namespace hac::cuda
