#include "kernels/ops/conv2d_plan_cuda.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "kernels/core/error.h"
#include "kernels/cuda/naming.h"

namespace hac::cuda {
namespace {

EngineConfig describe(Descriptor config) {
  EngineConfig c;
  const auto engines = config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  const Descriptor& engine = engines.at(0);
  c.engine = engine.value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  c.numerical = engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE);
  c.behavior = engine.get<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE);
  for (const Descriptor& choice :
       config.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR,
                  CUDNN_KNOB_TYPE_COUNTS)) {
    const auto type = choice.value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE);
    c.knobs.push_back({type, choice.value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE)});
  }
  c.config = std::move(config);
  return c;
}

std::vector<EngineConfig> find_configs(const PlanDevice& device, const Conv2dSpec& spec,
                                       cudnnBackendHeurMode_t mode) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, conv_graph(device, spec))
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  device.set_on_heuristics(heuristics);
  std::vector<EngineConfig> configs;
  if (!heuristics.try_finalize()) return configs;
  for (Descriptor& config :
       heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)) {
    configs.push_back(describe(std::move(config)));
  }
  return configs;
}

// Finalises the plan; false where cuDNN cannot after all.
bool finish(ConvPlan& plan, const PlanDevice& device) {
  plan.plan = Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  device.set_on_plan(plan.plan);
  plan.plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, plan.config.config);
  if (!plan.plan.try_finalize()) return false;
  plan.workspace_bytes = plan.plan.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  return true;
}

using Reasons = std::map<std::string, int>;  // why configurations were left out

// Finalises the plan unless something speaks against it.
bool passes(ConvPlan& plan, const PlanDevice& device, const Conv2dSpec& spec,
            const PlanOptions& options, Reasons& reasons) {
  std::string reason = objection(plan.config, spec, options);
  if (reason.empty() && !finish(plan, device)) {
    reason = plan.config.runtime_compiled() ? "not compiled at run time" : "not supported";
  }
  if (reason.empty() && plan.workspace_bytes > options.workspace_limit) {
    reason = "over the workspace limit";
  }
  if (reason.empty()) return true;
  ++reasons[reason];
  return false;
}

// The heuristics may begin with a dozen tiles of one engine.
constexpr int most_of_an_engine = 4;

// Up to `limit` plans, run-time compiled only if there is no other: each takes seconds to make.
// Mode A takes about 1 ms, the fallbacks 6, so they come only when wanted.
std::vector<ConvPlan> collect(const PlanDevice& device, const Conv2dSpec& spec,
                              const PlanOptions& options, std::size_t limit, Reasons& reasons) {
  std::vector<ConvPlan> plans;
  std::vector<EngineConfig> last_resort;
  const auto consider = [&](EngineConfig config) {
    const auto same = [&](const ConvPlan& p) {
      return p.config.engine == config.engine && p.config.knobs == config.knobs;
    };
    if (std::any_of(plans.begin(), plans.end(), same)) return;
    const auto of_engine = [&](const ConvPlan& p) { return p.config.engine == config.engine; };
    if (std::count_if(plans.begin(), plans.end(), of_engine) == most_of_an_engine) return;
    ConvPlan plan{.config = std::move(config)};
    if (passes(plan, device, spec, options, reasons)) plans.push_back(std::move(plan));
  };
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (plans.size() >= limit) return plans;
    for (EngineConfig& config : find_configs(device, spec, mode)) {
      if (plans.size() >= limit) return plans;
      if (config.runtime_compiled()) {
        last_resort.push_back(std::move(config));
      } else {
        consider(std::move(config));
      }
    }
  }
  if (!plans.empty()) return plans;
  for (EngineConfig& config : last_resort) {
    if (plans.size() < limit) consider(std::move(config));
  }
  return plans;
}

bool on_tensor_cores(const ConvPlan& plan) {
  return plan.config.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

// Of 16-bit products the heuristics begin now and then with an engine without tensor cores, of
// ResNet18's shortcuts at batch 128 with one whose workspace holds the map three times. Where one
// of the first ten plans has tensor cores and no larger workspace, which padded copies would need,
// it comes first; the others keep their order.
std::vector<ConvPlan> in_order(const PlanDevice& device, const Conv2dSpec& spec,
                               const PlanOptions& options, std::size_t most, Reasons& reasons) {
  constexpr std::size_t first_ones = 10;
  constexpr std::int64_t little = 4096;  // bytes: counters of tiles
  std::vector<ConvPlan> plans = collect(device, spec, options, most, reasons);
  if (spec.dtype == Dtype::f32 || spec.groups > 1 || plans.empty() || on_tensor_cores(plans[0])) {
    return plans;
  }
  if (most < first_ones) plans = collect(device, spec, options, first_ones, reasons);
  const std::int64_t workspace = plans[0].workspace_bytes + little;
  const auto better = std::find_if(plans.begin(), plans.end(), [&](const ConvPlan& p) {
    return on_tensor_cores(p) && p.workspace_bytes <= workspace;
  });
  if (better != plans.end()) std::rotate(plans.begin(), better, better + 1);
  if (plans.size() > most)
    plans.erase(plans.begin() + static_cast<std::ptrdiff_t>(most), plans.end());
  return plans;
}

}  // namespace

bool EngineConfig::has(cudnnBackendNumericalNote_t note) const {
  return std::find(numerical.begin(), numerical.end(), note) != numerical.end();
}

bool EngineConfig::has(cudnnBackendBehaviorNote_t note) const {
  return std::find(behavior.begin(), behavior.end(), note) != behavior.end();
}

std::string EngineConfig::name() const {
  std::string name = fmt::format("cudnn:eng{}", engine);
  for (const Knob& knob : knobs) name += fmt::format(",k{}={}", knob.type, knob.value);
  return name + (runtime_compiled() ? ",nvrtc" : "");
}

std::vector<EngineConfig> engine_configs(const PlanDevice& device, const Conv2dSpec& spec,
                                         cudnnBackendHeurMode_t mode) {
  return naming(spec, [&] { return find_configs(device, spec, mode); });
}

std::string objection(const EngineConfig& config, const Conv2dSpec& spec,
                      const PlanOptions& options) {
  if (options.deterministic && config.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) {
    return "nondeterministic";
  }
  if (config.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return "sums in 16 bits";
  if (options.exact && config.has(CUDNN_NUMERICAL_NOTE_WINOGRAD)) return "Winograd";
  // The same plans run eagerly and in captured graphs.
  if (cublas_note && config.has(*cublas_note)) return "not captured into graphs";
  if (spec.dtype != Dtype::f32) return "";
  if (config.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return "rounds its inputs to 16 bits";
  // An f32 engine that uses tensor cores rounds its inputs to TF32.
  if (!options.allow_tf32 && config.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return "TF32";
  return "";
}

ConvPlan make_plan(const PlanDevice& device, const Conv2dSpec& spec, const PlanOptions& options) {
  Reasons reasons;
  std::vector<ConvPlan> plans =
      naming(spec, [&] { return in_order(device, spec, options, 1, reasons); });
  if (!plans.empty()) return std::move(plans.front());
  std::string found = reasons.empty() ? "no engine" : "";
  for (const auto& [reason, n] : reasons) {
    found += fmt::format("{}{} {}", found.empty() ? "" : ", ", n, reason);
  }
  throw DeviceError(fmt::format("{}: expected a cuDNN engine{}{}, workspace <= {} bytes, got {}",
                                spec.str(), options.deterministic ? ", deterministic" : "",
                                options.allow_tf32 ? "" : ", no TF32", options.workspace_limit,
                                found));
}

std::vector<ConvPlan> list_plans(const PlanDevice& device, const Conv2dSpec& spec,
                                 const PlanOptions& options, std::size_t most) {
  Reasons reasons;
  return naming(spec, [&] { return in_order(device, spec, options, most, reasons); });
}

ConvPlan rebuild_plan(const PlanDevice& device, const Conv2dSpec& spec, std::int64_t engine,
                      std::span<const Knob> knobs) {
  return naming(spec, [&] {
    Descriptor e(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    e.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, conv_graph(device, spec))
        .set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, engine);
    device.set_on_engine(e);
    e.finalize();
    std::vector<Descriptor> choices;
    for (const Knob& knob : knobs) {
      choices.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR)
          .set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, static_cast<cudnnBackendKnobType_t>(knob.type))
          .set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, knob.value)
          .finalize();
    }
    Descriptor config(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    config.set(CUDNN_ATTR_ENGINECFG_ENGINE, e);
    if (!choices.empty()) {
      config.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, std::span<const Descriptor>(choices));
    }
    config.finalize();
    ConvPlan plan{.config = describe(std::move(config))};
    if (!finish(plan, device)) {
      throw DeviceError(fmt::format("{}: not supported by this cuDNN", plan.config.name()));
    }
    return plan;
  });
}

void execute(cudnnHandle_t handle, const ConvPlan& plan, const Conv2dSpec& spec,
             const ConvOperands& operands, void* workspace) {
  std::vector<std::int64_t> ids;
  std::vector<void*> pointers;
  const auto bind = [&](Operand operand, const void* p) {
    if (p == nullptr || reinterpret_cast<std::uintptr_t>(p) % 16 != 0) {
      throw DeviceError(fmt::format("{}: expected operands aligned to 16 bytes, got {}", spec.str(),
                                    fmt::ptr(p)));
    }
    ids.push_back(static_cast<std::int64_t>(operand));
    pointers.push_back(const_cast<void*>(p));
  };
  bind(Operand::x, operands.x);
  bind(Operand::w, operands.w);
  bind(Operand::y, operands.y);
  if (has_bias(spec)) bind(Operand::bias, operands.bias);
  if (has_residual(spec)) bind(Operand::residual, operands.residual);
  naming(spec, [&] {
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids))
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(pointers))
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
        .finalize();
    check(cudnnBackendExecute(handle, plan.plan.handle(), pack.handle()), "cudnnBackendExecute",
          plan.config.name());
  });
}

}  // namespace hac::cuda
