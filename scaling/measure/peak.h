#pragma once
// What a device does at most, measured: what a network's utilization is a fraction of.

#include <optional>
#include <string>

#include "kernels/core/machine.h"
#include "kernels/ops/linear.h"

namespace hac {

struct Peak {
  std::optional<double> gmacs_per_s;  // none where there is no hardware
  std::string of;                     // what was measured, or why nothing was
  bool steady = true;                 // as Ceiling says; other devices have a clock of their own
};

// cpu: multiply-adds in registers, on all threads (kernels/core/machine.h). cuda: the engine's own
// product of a (rows, 4096) by a (4096, 4096) matrix of that type, by the device's clock. simt
// executes kernels on the host: no peak. Takes about a second. Throws DeviceError.
Peak measure_peak(Device device, Dtype dtype);

// measure_bandwidth_gbs(); none where too little memory is free for it.
std::optional<Ceiling> bandwidth_if_free();

// GMAC/s of y = x w^T of random numbers on any device: median of `rounds` by events, after three.
double measure_linear_gmacs(Device device, const LinearSpec& spec, int rounds = 10);

}  // namespace hac
