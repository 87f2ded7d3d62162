#include "kernels/core/denormals.h"

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hac {

void flush_denormals() {
#if defined(__x86_64__)
  constexpr unsigned ftz = 1u << 15, daz = 1u << 6;
  _mm_setcsr(_mm_getcsr() | ftz | daz);
#elif defined(__aarch64__)
  constexpr std::uint64_t fz = std::uint64_t{1} << 24;  // both
  std::uint64_t fpcr;
  asm volatile("mrs %0, fpcr" : "=r"(fpcr));
  asm volatile("msr fpcr, %0" : : "r"(fpcr | fz));
#endif
}

}  // namespace hac
