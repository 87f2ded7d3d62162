#pragma once
// The meters behind open_meter; private to the power*.cpp files.

#include "scaling/measure/power.h"

namespace hac {

// Each throws DeviceError saying why it is not there.
PowerMeter open_nvml(const MeterOptions& options);
PowerMeter open_ina3221(const MeterOptions& options);
PowerMeter open_rapl(const MeterOptions& options);

double steady_seconds();

}  // namespace hac
