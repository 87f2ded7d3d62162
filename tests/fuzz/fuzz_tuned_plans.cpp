// libFuzzer: the plan cache from hostile bytes. Only IoError may come out, and what is taken must
// be written so that it is read as the same.

#include <cstdint>

#include "kernels/core/error.h"
#include "kernels/core/tuned_plans.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hac;
  try {
    const auto plans = parse_tuned_plans({reinterpret_cast<const char*>(data), size}, "fuzz");
    const std::string text = to_text(plans);
    if (to_text(parse_tuned_plans(text, "again")) != text) __builtin_trap();
  } catch (const IoError&) {
  }
  return 0;
}
