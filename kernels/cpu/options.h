#pragma once
// What a caller may ask of the CPU's convolutions, from the next plan on.

#include <string>

#include "kernels/core/tuned_plans.h"

namespace hac::cpu {

class Library;
// exact: no Winograd, every product of the sum is computed.
void set_exact(Library& library, bool exact);
// Measures the algorithms when a plan is first needed, unless the file has the result, and takes
// the fastest. Throws IoError where the file is not such a text.
void autotune(Library& library, PlanFile file);
// What results and times depend on besides device and spec: "exact, autotuned"; "" by default.
std::string describe_plans(const Library& library);

}  // namespace hac::cpu
