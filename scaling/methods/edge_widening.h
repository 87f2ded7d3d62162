#pragma once
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

#include "scaling/methods/width_scaling.h"

namespace hac {

// Milliseconds of all that depends on the widths of a group, for scans.
using GroupLatency = std::function<double(const std::vector<std::int64_t>& widths, int group)>;

// As widen(); of the options the policy and the criterion are not read. Null: the whole latency.
WideningResult widen_to_edges(const WideningProblem& problem, const Budget& budget,
                              const WideningOptions& options = {}, GroupLatency latency = {});

// As decide().
ScalingPlan decide_by_edges(const Architecture& baseline, std::span<const ImportanceLaw> laws,
                            const LatencyModel& model, const Budget& budget,
                            const WideningOptions& options = {});

}  // namespace hac
