#pragma once
// Which networks to time for a latency model of a baseline and what is scaled from it: one list for
// every command that measures one, and for the times that a user takes elsewhere.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "models/arch/architecture.h"

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

}  // namespace hac
