#pragma once
// The microbenchmark of width against depth against resolution (paper Fig. 2): what each of them
// alone, or all together, does to latency and utilization. Measured here, or modelled for a device
// that is not.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "scaling/latency/latency.h"
#include "scaling/measure/measure.h"

namespace hac {

struct SweepAxes {
  std::vector<double> widths, depths;     // factors
  std::vector<std::int64_t> resolutions;  // pixels
  bool grid = false;                      // every combination, instead of one dimension at a time
  std::int64_t width_multiple = 8;        // widths are rounded to
};

struct SweptNetwork {
  std::string dimension;  // baseline | width | depth | resolution | grid
  double width = 1, depth = 1;
  Architecture arch;
};

// The baseline first, then each dimension in turn; in a grid the combinations, widths changing
// fastest. A network that rounding makes equal to one before it in its dimension, or to the
// baseline, is left out. Throws ConfigError where nothing is swept, or for what is no network (an
// input too small for its strides).
std::vector<SweptNetwork> networks_to_sweep(const Architecture& baseline, const SweepAxes& axes);

struct SweepRow {
  std::string dimension;
  double width = 1, depth = 1;
  std::int64_t resolution = 0, units = 0;  // units: of depth, of all stages
  std::int64_t params = 0, macs = 0;
  double ms = 0;                               // median
  double low_ms = unknown, high_ms = unknown;  // 10th and 90th percentile, of what is measured
  double gmacs_per_s = 0;
  double multiplied_gmacs_per_s = unknown;  // what is really multiplied (utilization.h)
  double peak_fraction = unknown;           // of that
  bool modelled = false;
  std::string unsteady;  // how a busy machine disturbed the runs

  Fields fields() {
    return HAC_FIELDS(dimension, width, depth, resolution, units, params, macs, ms, low_ms, high_ms,
                      gmacs_per_s, multiplied_gmacs_per_s, peak_fraction, modelled, unsteady);
  }
};

// Runs of all networks interleaved, so that a drift of the machine meets all of them alike; all of
// them again while a busy one disturbs any and there is patience. `peak_gmacs`: unknown where the
// device has none.
std::vector<SweepRow> measure_sweep(const std::vector<SweptNetwork>& nets,
                                    const TensorOptions& where, double peak_gmacs,
                                    const MeasureOptions& options = {},
                                    Patience* patience = nullptr);
std::vector<SweepRow> model_sweep(const std::vector<SweptNetwork>& nets, const LatencyModel& model);

// One layer at these widths as a model predicts it, without error bars.
std::vector<WidthTime> model_layer_widths(const Architecture& arch, int index,
                                          const std::vector<std::int64_t>& widths,
                                          const LatencyModel& model);
// The widths that were timed after which the next one costs more: the right-hand edges of the step
// that was found; of modelled times, which have no error, the ends of what is flat. None where
// nothing is clear.
std::vector<std::int64_t> step_edges(const LayerStaircase& found);
// What channels of a layer cost nothing: "features.8: 132 -> 144 costs nothing, ...".
std::string free_channels(const LayerStaircase& found, std::int64_t width);

}  // namespace hac
