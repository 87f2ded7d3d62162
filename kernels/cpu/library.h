#pragma once
// What the CPU's kernels keep in a Context, and what they have from a library: oneDNN (onednn.h),
// or in a build without it (HAC_DNNL) Eigen. kernels/CMakeLists.txt takes onednn.cpp or
// no_onednn.cpp.

#include <memory>
#include <string>
#include <utility>

#include "kernels/core/context.h"
#include "kernels/core/plan_cache.h"
#include "kernels/cpu/options.h"

namespace hac::cpu {

struct OneDnn;  // its engine and stream

// "2.6.3", or "none (Eigen 3.4.0)": times, and what was computed, depend on it.
std::string onednn_version();

// The instruction set in use on x86: the processor's, lowered by DNNL_MAX_CPU_ISA.
struct InstructionSet {
  std::string name;  // "avx2", "avx512_core_bf16"
  int lanes;         // floats in a vector: 16 or 8
  bool bf16;         // products of bf16
  bool enough;       // false: DNNL_MAX_CPU_ISA asks for less than AVX2
};
InstructionSet instruction_set();

// Throws the exception that is handled; a library's own as DeviceError or OutOfMemory naming the
// spec.
[[noreturn]] void rethrow(const std::string& spec);

class Library {
 public:
  ConvOptions conv;
  std::shared_ptr<PlanMemory> measured;  // null: convolutions by rules
  std::shared_ptr<OneDnn> onednn;        // made on first use

  // The plan of this spec, made by make() on first use; valid until the next call. Throws
  // DeviceError naming the spec when the library refuses it.
  template <class Plan, class Spec, class Make>
  Plan& plan(const Spec& spec, Make make) {
    try {
      return plans_.get<Plan>(std::pair(spec, num_threads()), make);
    } catch (...) {
      rethrow(spec.str());
    }
  }

 private:
  PlanCache plans_;
};

// Row-major c (m, n) = op(a) op(b) + beta c, each op 'N' or, for the transposed matrix, 'T'.
void multiply(char op_a, char op_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
              const float* b, float beta, float* c);

}  // namespace hac::cpu
