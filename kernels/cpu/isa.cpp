#include "kernels/core/isa.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "kernels/core/error.h"
#include "kernels/cpu/library.h"

namespace hac::cpu {
namespace {

#if defined(__x86_64__)
const InstructionSet& effective() {
  static const InstructionSet set = instruction_set();
  return set;
}

// Runs before any code of the program that needs the floor, static initialisers among it, and is
// compiled for less itself.
__attribute__((constructor(101), target("arch=x86-64"))) void refuse_below_the_floor() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
    return;
  }
  constexpr char message[] =
      "hacscale: this processor cannot run the program: expected x86-64-v3 (AVX2, FMA, BMI2, "
      "F16C), as Intel has it since Haswell and AMD since Zen\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, message, sizeof message - 1);
  _exit(3);
}
#endif

}  // namespace

#if defined(__x86_64__)
int vector_lanes() { return effective().lanes; }

bool has_bf16() { return effective().bf16; }

std::string isa_name() { return effective().name; }

void require_isa() {
  if (effective().enough) return;
  const char* asked = std::getenv("DNNL_MAX_CPU_ISA");
  throw DeviceError(
      fmt::format("cpu: DNNL_MAX_CPU_ISA={} lowers the instruction set to {}; "
                  "expected AVX2 or more",
                  asked ? asked : "", isa_name()));
}
#else
int vector_lanes() { return 4; }
bool has_bf16() { return false; }
std::string isa_name() { return "neon"; }
void require_isa() {}
#endif

}  // namespace hac::cpu
