#pragma once
// Fitting a device profile to networks that were timed on the device: how much of the peak and of
// the bandwidth is reached, what a launch takes, and the channel block. Tile, units and cache stay
// as given. What comes out is still a model, of a device like the one that was timed.

#include <optional>
#include <span>
#include <string>

#include "engine/io/named_fields.h"
#include "scaling/latency/device_model.h"

namespace hac {

struct Calibration {
  DeviceProfile profile;  // that was given, with what was fitted, its sources saying so
  // Fractions of the given figures; bandwidth is above 1 where weights that the model streams from
  // memory stayed in the cache. None where the figure bound nothing that was timed.
  std::optional<double> peak, bandwidth;
  double launch_us = 0;
  std::int64_t channel_block = 1;
  LatencyError before, after;  // of the given profile; of one fitted without the network that is
                               // predicted (`folds`)

  Fields fields() {  // without `profile`
    return Fields()
        .add("peak", peak, {.optional = true})
        .add("bandwidth", bandwidth, {.optional = true})
        .add(HAC_FIELDS(launch_us, channel_block, before, after));
  }
};

// Minimises the squared relative error of the whole networks,
//   sum_i (1 - t_i / T_i)^2,  t_i = sum over operations of launch + max(compute / peak, traffic /
//   bandwidth),
// which is linear in (launch, 1 / peak, 1 / bandwidth) as long as no operation changes sides: by
// non-negative least squares, again and again, until none does. All networks are in one type.
// `launch` is how they were launched, `timed_on` is where. Throws ConfigError as fits of latency
// models do, and for fewer networks than folds or than 5. Of a figure that bound nothing that was
// timed the source says so.
Calibration calibrate(const DeviceProfile& profile, LaunchMode launch,
                      std::span<const NetworkTiming> timings, const std::string& timed_on,
                      int folds = 5);

}  // namespace hac
