#pragma once
// Depth: more units (residual blocks, or convolutions) of stride 1 at the ends of the stages,
// N' = round(d * N) by largest remainder.

#include "scaling/methods/method.h"

namespace hac {

// The largest d = N' / N >= 1 within the budget.
ScaledNetwork scale_depth_to(const Architecture& baseline, const LatencyModel& model,
                             const Budget& budget);

}  // namespace hac
