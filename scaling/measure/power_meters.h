#pragma once
// The meters behind open_meter; private to the power*.cpp files.

#include "scaling/measure/power.h"

namespace hac {

// Each throws DeviceError saying why it is not there.
PowerMeter open_nvml(const MeterOptions& options);
PowerMeter open_ina3221(const MeterOptions& options);
PowerMeter open_rapl(const MeterOptions& options);

double steady_seconds();
// Joules of a power in watts, sampled as MeterOptions says. A sample that fails is left out; the
// one that the caller asks for throws.
std::function<double()> integrate(std::function<double()> watts, const MeterOptions& options);

}  // namespace hac
