#pragma once
// Which of cuDNN's plans is the fastest: measured when one is first needed, then remembered for the
// same device, version of cuDNN, options and spec (kernels/cuda/tuned_plans.h).

#include <functional>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/cuda/tuned_plans.h"
#include "kernels/ops/conv2d_plan_cuda.h"

namespace hac::cuda {

// Milliseconds of one run. Throws DeviceError where the plan does not run.
using MeasurePlan = std::function<double(const ConvPlan&)>;

struct Choice {
  std::size_t index = 0;  // into the plans
  double ms = 0;
  bool all_tried = true;  // false: memory did not suffice for one, which may be faster
};

// The earliest plan within 2 % of the fastest, so that noise does not decide against the order of
// cuDNN's heuristics. One that does not run is passed over; where none does, the first one's error,
// with the spec. There must be one at least.
Choice fastest(const Conv2dSpec& spec, std::span<const ConvPlan> plans, const MeasurePlan& measure);

class Tuner {
 public:
  // device: a name that tells apart what runs at different speeds. Throws IoError as PlanFile does.
  Tuner(std::string device, PlanFile file);

  // The remembered plan; the fastest of the first ten if there is none, or if this cuDNN cannot
  // build it or the options speak against it. Then the file gets it, beside all that it holds by
  // then: of two processes that write at the very same time one's last result may be lost, and is
  // measured again. Throws DeviceError as make_plan does, IoError as PlanFile does.
  ConvPlan plan(const Descriptor& properties, const Conv2dSpec& spec, const PlanOptions& options,
                const MeasurePlan& measure);

 private:
  void remember(const TunedKey& key, TunedPlan plan);

  std::string device_;
  PlanFile file_;
  TunedPlans known_, measured_;  // what the file held when last read; this process' own
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
