#pragma once
// What a caller may ask of the vendor's convolutions and matrix products.

#include <compare>
#include <cstdint>
#include <string>

#include "kernels/core/tuned_plans.h"

namespace hac::cuda {

struct PlanOptions {
  bool deterministic = true;  // the same bits at any repetition on the same device
  // f32 products on tensor cores: inputs rounded to 10 mantissa bits, relative error about 1e-3.
  bool allow_tf32 = false;
  bool exact = false;                                      // no Winograd
  std::int64_t workspace_limit = std::int64_t{256} << 20;  // bytes

  auto operator<=>(const PlanOptions&) const = default;
};

struct Library;
// Of a context's library: those of the plans that it makes from now on.
PlanOptions& plan_options(Library& library);
// These, the tuner and early launches of `from` become those of `to`.
void copy_options(const Library& from, Library& to);
// Whether own kernels may be started before the one before them has ended. Throws ConfigError below
// compute capability 9.0.
void set_early_launches(Library& library, bool on);
// What its results and times depend on besides device and spec: "cudnn 91900, tf32, autotuned".
std::string describe_plans(Library& library);
// From now on the library measures cuDNN's plans when one is first needed, unless the file has the
// result, and takes the fastest. Throws IoError where the file is not such a text.
void autotune(Library& library, PlanFile file);

}  // namespace hac::cuda
