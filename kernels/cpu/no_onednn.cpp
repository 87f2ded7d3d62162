// Stands in for onednn.cpp in a build without oneDNN: Eigen multiplies. bf16 is oneDNN's alone, so
// no instruction set has it here.

#include <fmt/format.h>

#include <Eigen/Core>
#include <cstdlib>
#include <string_view>

#include "kernels/cpu/library.h"

namespace hac::cpu {

struct OneDnn {};

std::string onednn_version() {
  return fmt::format("none (Eigen {}.{}.{})", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION,
                     EIGEN_MINOR_VERSION);
}

#if defined(__x86_64__)
// By the names that oneDNN has; of those below AVX-512 only the floor is told apart.
InstructionSet instruction_set() {
  const char* asked = std::getenv("DNNL_MAX_CPU_ISA");
  const std::string_view most = asked ? asked : "";
  if (most == "SSE41" || most == "AVX") {
    return {.name = most == "AVX" ? "avx" : "sse41", .lanes = 8, .bf16 = false, .enough = false};
  }
  const bool lowered = most == "AVX2" || most == "AVX2_VNNI";
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (wide && !lowered) {
    return {.name = "avx512_core", .lanes = 16, .bf16 = false, .enough = true};
  }
  return {.name = "avx2", .lanes = 8, .bf16 = false, .enough = true};
}
#endif

void rethrow(const std::string&) { throw; }

void multiply(char op_a, char op_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
              const float* b, float beta, float* c) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using View = Eigen::Map<const Matrix>;
  Eigen::Map<Matrix> sum(c, m, n);
  if (beta == 0) {
    sum.setZero();
  } else if (beta != 1) {
    sum *= beta;
  }
  if (op_a == 'N' && op_b == 'N') sum.noalias() += View(a, m, k) * View(b, k, n);
  if (op_a == 'N' && op_b == 'T') sum.noalias() += View(a, m, k) * View(b, n, k).transpose();
  if (op_a == 'T' && op_b == 'N') sum.noalias() += View(a, k, m).transpose() * View(b, k, n);
  if (op_a == 'T' && op_b == 'T') {
    sum.noalias() += View(a, k, m).transpose() * View(b, n, k).transpose();
  }
}

}  // namespace hac::cpu
