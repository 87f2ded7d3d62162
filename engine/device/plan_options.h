#pragma once
// What a user may ask of the plans of cuDNN and cuBLAS, for this thread's context of a GPU and from
// now on. On the CPU and simt there are none: asking is a ConfigError.

#include <string>

#include "kernels/core/types.h"

namespace hac {

// f32 convolutions and matrix products on tensor cores, with inputs rounded to 10 mantissa bits
// (relative error about 1e-3). Throws ConfigError, DeviceError.
void allow_tf32(Device device);

// Measures cuDNN's plans of a convolution when it first runs, and takes the fastest. The file
// remembers it for other processes with the same device, version of cuDNN and options; it and its
// folder are made if need be. "" = this process alone. Throws ConfigError, DeviceError; IoError
// where the file holds something else (it is left as it is) or cannot be written.
void autotune(Device device, const std::string& file);

// What results and times on the device depend on besides it: "cudnn 91900, tf32, autotuned"; "" of
// the CPU and simt.
std::string describe_plan_options(Device device);

// HAC_PLAN_CACHE, else hacscale/cudnn-plans.txt in XDG_CACHE_HOME, else in ~/.cache. Throws
// ConfigError if none of these and no HOME is set.
std::string plan_cache_path();

// One line on the file: how many plans it holds, or what is wrong with it. "" if there is none.
std::string describe_plan_cache(const std::string& file);

}  // namespace hac
