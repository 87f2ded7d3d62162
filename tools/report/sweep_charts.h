#pragma once
// The pictures of a sweep: latency and utilization against operations, and a layer's staircase,
// which is a figure of the report too (staircase_figure in figure_parts.h).

#include <span>

#include "scaling/latency/staircase.h"
#include "scaling/measure/sweep.h"
#include "tools/report/chart.h"

namespace hac::report {

// A series for each dimension, the baseline in all of them; milliseconds with their 10th and 90th
// percentile, or GMAC/s. `on` names the device; what is modelled is in the rows.
Chart sweep_latency_chart(std::span<const SweepRow> rows, const std::string& on);
Chart sweep_utilization_chart(std::span<const SweepRow> rows, const std::string& on);
// The times, and the edges of the step that was found (where it is clear). `on` may be empty.
Chart staircase_chart(const LayerStaircase& found, const std::string& on);

}  // namespace hac::report
