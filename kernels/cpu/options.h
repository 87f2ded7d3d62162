#pragma once
// What a caller may ask of the CPU's convolutions, from the next plan on.

#include <compare>
#include <string>
#include <string_view>

#include "kernels/core/tuned_plans.h"

namespace hac::cpu {

struct ConvOptions {
  bool exact = false;         // no Winograd: every product of the sum is computed
  bool bf16_weights = false;  // for inference, where weights would stream from memory
  auto operator<=>(const ConvOptions&) const = default;
};

// What measured times depend on besides oneDNN; to be raised when own convolutions change their
// speed, so that nothing measured before decides.
inline constexpr std::string_view own_convolutions = "own convolutions 3";

class Library;
ConvOptions& conv_options(Library& library);
// Measures the algorithms when a plan is first needed, unless the file has the result, and takes
// the fastest. Throws IoError where the file is not such a text.
void autotune(Library& library, PlanFile file);
// What results and times depend on besides device and spec: "exact, bf16 weights, autotuned"; "" by
// default.
std::string describe_plans(const Library& library);

}  // namespace hac::cpu
