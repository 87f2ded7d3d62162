#pragma once
// Which networks to time for a latency model of a baseline and what is scaled from it: one list for
// every command that measures one, and for the times that a user takes elsewhere.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "models/arch/architecture.h"
#include "scaling/latency/latency.h"

namespace hac {

struct NetworksToTime {
  // Random widths, in all; at least five at each resolution. Multipliers are log-uniform in
  // [low, high), by a Latin hypercube of its own at each resolution (importance/sampling.h).
  std::int64_t networks = 16;
  double low = 0.5, high = 3;
  std::vector<std::int64_t> resolutions;  // besides the baseline's, each with its random widths
  // The baseline at 1.5, 2, 3 and 4 times its resolution, and at 6 and 8 times up to 256 pixels: a
  // slim network on small images grows far before it takes four times as long.
  bool ladder = true;
  std::int64_t resolution_multiple = 4;  // of the ladder's resolutions
  std::vector<double> depths;            // the baseline with so many times its units

  Fields fields() {
    return Fields()
        .add("networks", networks, {1, 10000}, "networks of random widths to time")
        .add("low", low, {.low = 0, .high = 64, .above = true},
             "their widths are from so many times the baseline's")
        .add("high", high, {.low = 0, .high = 64, .above = true}, "to so many times")
        .add("resolutions", resolutions, {1, 8192},
             "time random widths at these resolutions too, in pixels")
        .add("ladder", ladder, "time the baseline on larger images", {.off_on = {"off", "on"}})
        .add("depths", depths, {.low = 0, .high = 64, .above = true},
             "time the baseline with so many times its units too");
  }
};

// The baseline first; each network once. A function of its arguments alone. Throws ConfigError as
// sample_widths() does, and for a network that is none (an input too small for its strides).
std::vector<Architecture> networks_to_time(const Architecture& baseline,
                                           const NetworksToTime& options = {});

// For times that a user takes on another device: the networks and a table to fill in. Whole
// networks only: no tool elsewhere times layers alike.
//   DIR/README.md        what to do, for whoever has only the folder
//   DIR/net-000.json ... an architecture each (models/arch/architecture.h)
//   DIR/times.csv        network,ms,ms_low,ms_high  batch 1, milliseconds; the last two may be
//   empty
//   DIR/net-000.onnx ... with onnx: the same with random weights, batch 1 (models/deploy/onnx.h)
// Throws IoError, ConfigError for a folder that holds anything, DeviceError where ONNX is not built
// in.
void write_network_list(const std::string& folder, const std::vector<Architecture>& nets,
                        bool onnx = false);

struct TimesTable {
  std::vector<TimedNetwork> networks;
  std::vector<std::string> without_time;  // their cells are empty
};

// Of networks that differ from the baseline in widths, units and resolution, in this type. Throws
// IoError, and ConfigError naming the file and the line: a column that is missing or unknown, a
// network that is not in the table's folder, that is there twice or that is not scaled from the
// baseline, a time that is no number above 0, limits that do not enclose it, too few times.
inline constexpr std::size_t least_networks = 5;
TimesTable read_times(const std::string& path, const Architecture& baseline, Dtype dtype);

// Whether one becomes the other by other widths, units and resolution.
bool is_scaled_from(const Architecture& arch, const Architecture& baseline);

}  // namespace hac
