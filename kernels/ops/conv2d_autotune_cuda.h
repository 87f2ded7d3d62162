#pragma once
// Which of cuDNN's plans is the fastest: measured when one is first needed, then remembered for the
// same device, version of cuDNN, options and spec (kernels/core/tuned_plans.h).

#include <functional>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/tuned_plans.h"
#include "kernels/ops/conv2d_plan_cuda.h"

namespace hac::cuda {

// Milliseconds of one run. Throws DeviceError where the plan does not run.
using MeasurePlan = std::function<double(const ConvPlan&)>;

struct Choice {
  std::size_t index = 0;  // into the plans
  double ms = 0;
  bool all_tried = true;  // false: memory did not suffice for one, which may be faster
};

// hac::fastest of the plans. One that does not run is passed over; where none does, the first one's
// error, with the spec. There must be one at least.
Choice fastest(const Conv2dSpec& spec, std::span<const ConvPlan> plans, const MeasurePlan& measure);

class Tuner {
 public:
  explicit Tuner(PlanMemory memory) : memory_(std::move(memory)) {}

  // The remembered plan; the fastest of the first ten if there is none, or if this cuDNN cannot
  // build it or the options speak against it. Throws DeviceError as make_plan does, IoError as
  // PlanFile does.
  ConvPlan plan(const PlanDevice& device, const Conv2dSpec& spec, const PlanOptions& options,
                const MeasurePlan& measure);

 private:
  PlanMemory memory_;
};

// Enqueues a plan on the context's device.
using RunPlan = std::function<void(const ConvPlan&, const ConvOperands&, void* workspace)>;

// Times plans of this spec by events: 3 warm replays of a recording, the median of 10. It takes
// memory of its own for operands (random numbers) and workspace meanwhile: gradients are not there
// yet when a plan is made, and an operand may be input and output at once. OutOfMemory where there
// is none left.
MeasurePlan measure_on(Context& ctx, const Conv2dSpec& spec, RunPlan run);

// Tuner::plan of the context's GPU.
ConvPlan tuned_plan(Context& ctx, const Conv2dSpec& spec);

}  // namespace hac::cuda
