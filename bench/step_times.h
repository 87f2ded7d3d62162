#pragma once
// bench_gpu --part train: what scaling/latency/step_model.h says of a step beside what a clock
// does.

#include <nlohmann/json.hpp>
#include <optional>

#include "models/model.h"
#include "scaling/latency/device_profile.h"

namespace hac::bench {

// The built-in profile of the device; of none that fits, the H100's where `tiny` tries the code.
std::optional<DeviceProfile> step_profile(Device device, bool tiny);

// Prints and returns predicted and measured microseconds and their ratio: of a recorded step of
// step_ms; of its products alone, in a recording of their own, with their launches; of what is left
// of the step, own kernels with theirs; of a kernel that does nothing, in a recording of many.
nlohmann::ordered_json compare_step(const Model& model, std::int64_t batch, double step_ms,
                                    const DeviceProfile& profile, int rounds);

}  // namespace hac::bench
