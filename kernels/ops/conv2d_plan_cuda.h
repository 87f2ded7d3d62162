#pragma once
// From a Conv2dSpec to something that cuDNN executes: operation graph -> engine configurations in
// the order of cuDNN's heuristics -> the first that passes our filters, as an execution plan.
//
// 16-bit channels that are no multiple of 8 cost a padded copy inside cuDNN: it shows as workspace
// (conv2d_channels.h pads those of images before).

#include <string>
#include <vector>

#include "kernels/core/tuned_plans.h"
#include "kernels/cuda/options.h"
#include "kernels/ops/conv2d_graph_cuda.h"

namespace hac::cuda {

// One of cuDNN's ways to compute an operation graph; an index and knobs name it within a version.
struct EngineConfig {
  Descriptor config;
  std::int64_t engine = 0;  // cuDNN's global index
  std::vector<Knob> knobs;
  std::vector<cudnnBackendNumericalNote_t> numerical;
  std::vector<cudnnBackendBehaviorNote_t> behavior;

  bool has(cudnnBackendNumericalNote_t note) const;
  bool has(cudnnBackendBehaviorNote_t note) const;
  bool runtime_compiled() const { return has(CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION); }
  std::string name() const;  // "cudnn:eng12,k2=3,k17=1", with ",nvrtc" if compiled at run time
};

// In the order of cuDNN's heuristics: mode A, best first, or the fallbacks. Empty where cuDNN has
// nothing. Throws ShapeError as conv_graph does.
std::vector<EngineConfig> engine_configs(const PlanDevice& device, const Conv2dSpec& spec,
                                         cudnnBackendHeurMode_t mode);

// Why this configuration is not taken for this spec; "" if nothing speaks against it. Run-time
// compilation is no objection here.
std::string objection(const EngineConfig& config, const Conv2dSpec& spec,
                      const PlanOptions& options);

struct ConvPlan {
  EngineConfig config;
  Descriptor plan;
  std::int64_t workspace_bytes = 0;
};

// The first plan that passes, run-time compiled only if no other does; of 16-bit products one on
// tensor cores before one without, where it needs no padded copies. Throws DeviceError naming the
// spec and what was wrong with every configuration.
ConvPlan make_plan(const PlanDevice& device, const Conv2dSpec& spec, const PlanOptions& options);
// The first `most` of them, at most four of one engine, in the same order and with the same last
// resort: what an autotuner measures. Empty where make_plan throws.
std::vector<ConvPlan> list_plans(const PlanDevice& device, const Conv2dSpec& spec,
                                 const PlanOptions& options, std::size_t most = 1000);
// The plan that an autotuner once chose. Throws DeviceError if this cuDNN does not have it.
ConvPlan rebuild_plan(const PlanDevice& device, const Conv2dSpec& spec, std::int64_t engine,
                      std::span<const Knob> knobs);

// Operands by unique id. In backward_data y is dy (read) and x is dx (written); in backward_weights
// w is dw (written).
struct ConvOperands {
  const void *x = nullptr, *w = nullptr, *y = nullptr;
  const void *bias = nullptr, *residual = nullptr;
};

// Enqueues the plan on the handle's stream. workspace: plan.workspace_bytes, 16-byte aligned, may
// be null if that is 0. Throws DeviceError naming the spec.
void execute(cudnnHandle_t handle, const ConvPlan& plan, const Conv2dSpec& spec,
             const ConvOperands& operands, void* workspace);

}  // namespace hac::cuda
