#pragma once
// What a user may ask of the plans of convolutions and products, for this thread's context of a
// device and from now on.

#include <string>

#include "engine/io/fields.h"
#include "kernels/core/context.h"
#include "kernels/core/types.h"

namespace hac {

// f32 convolutions and matrix products on a GPU's tensor cores, with inputs rounded to 10 mantissa
// bits (relative error about 1e-3). Throws ConfigError where there are none, DeviceError.
void allow_tf32(Device device);

// exact: no convolution by Winograd's filtering, which has fewer multiplications and a larger error
// (on the CPU some 2e-6 of the largest output; kernels/ops/winograd.md). simt has none anyway.
enum class Convolutions : std::uint8_t { fast, exact };
template <>
inline constexpr std::string_view enum_names<Convolutions>[] = {"fast", "exact"};
void set_convolutions(Device device, Convolutions how);

// bf16: for inference on the CPU, in f32, weights that would stream from memory (those of small
// maps) are kept in bf16 and widened where they are multiplied. Throws ConfigError for another
// type, and for bf16 elsewhere than on the CPU.
void set_inference_weights(Device device, Dtype dtype);

// What was asked of `from` holds for `to`, a context of the same device, too: the options, and on a
// GPU what was measured.
void copy_plan_options(Context& from, Context& to);

// Measures the plans of a convolution (of cuDNN; on the CPU the algorithms) when it first runs, and
// takes the fastest. The file remembers it for other processes with the same device, library and
// options; it and its folder are made if need be. "" = this process alone. Throws ConfigError for
// simt, DeviceError; IoError where the file holds something else (it is left as it is) or cannot be
// written.
void autotune(Device device, const std::string& file);

// What results and times on the device depend on besides it: "cudnn 91900, tf32, autotuned",
// "exact"; "" of simt, and of the CPU by default.
std::string describe_plan_options(Device device);

// HAC_PLAN_CACHE, else hacscale/plans.txt in XDG_CACHE_HOME, else in ~/.cache. Throws
// ConfigError if none of these and no HOME is set.
std::string plan_cache_path();

// One line on the file: how many plans it holds, or what is wrong with it. "" if there is none.
std::string describe_plan_cache(const std::string& file);

}  // namespace hac
