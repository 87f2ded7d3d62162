#include "kernels/cpu/ceiling_loops.h"

#include "kernels/cpu/loop.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O2")  // below it GCC joins no product and sum to one instruction
#endif

namespace hac::cpu {
namespace {

// Two FMA pipes of latency 4 need eight chains at least. All of them, and two operands, must fit in
// the registers: 32 of 16 lanes with AVX-512, 16 of 8 with AVX2, 32 of 4 elsewhere.
#if defined(HAC_AVX512)
constexpr int lanes = 16, chains = 24;
#elif defined(__x86_64__)
constexpr int lanes = 8, chains = 12;
#else
constexpr int lanes = 4, chains = 24;
#endif

// Aligned as its elements, so that any array can be read through it.
using Lanes = float __attribute__((vector_size(lanes * sizeof(float)), aligned(4)));

// Unrolled at any -O, or the chains live in memory. They tend to b / (1 - a), which must not be
// 0: numbers that fade through the denormals can cost a hundred times as much.
float multiply_add(std::int64_t rounds, float seed) {
  Lanes acc[chains], a, b;
  for (int i = 0; i < lanes; ++i) {
    a[i] = 0.999f + seed * static_cast<float>(i);
    b[i] = 0.001f * static_cast<float>(i + 1);
  }
#pragma GCC unroll 24
  for (int c = 0; c < chains; ++c) acc[c] = a + 0.1f * static_cast<float>(c);  // none equal
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (Lanes& x : acc) x = x * a + b;
  }
  float sum = 0;
#pragma GCC unroll 24
  for (const Lanes& x : acc) sum += x[0] + x[lanes - 1];
  return sum;
}

#if defined(__x86_64__)
// Where cpu::has_bf16(), whichever set the rest of this file is compiled for.
constexpr int bf16_chains = 24, bf16_macs = 32 * bf16_chains;

__attribute__((target("avx512f,avx512bf16"))) float multiply_add_bf16(std::int64_t rounds,
                                                                      float seed) {
  __m512 acc[bf16_chains];
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3F803F80));  // ones
  const auto b = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x38803880));  // 2^-14
#pragma GCC unroll 24
  for (int c = 0; c < bf16_chains; ++c) acc[c] = _mm512_set1_ps(seed + static_cast<float>(c));
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (__m512& x : acc) x = _mm512_dpbf16_ps(x, a, b);
  }
  float sum = 0;
#pragma GCC unroll 24
  for (const __m512& x : acc) sum += x[0] + x[15];
  return sum;
}
#else
constexpr int bf16_macs = 0;
constexpr auto multiply_add_bf16 = nullptr;
#endif

// One stream waits for its own next line; eight keep as many lines on their way.
float read(const float* data, std::int64_t n) {
  constexpr int streams = 8;
  const std::int64_t part = n / streams / lanes * lanes;
  Lanes sums[streams] = {};
  for (std::int64_t i = 0; i < part; i += lanes) {
#pragma GCC unroll 8
    for (int s = 0; s < streams; ++s) {
      sums[s] += *reinterpret_cast<const Lanes*>(data + s * part + i);
    }
  }
  float sum = 0;
#pragma GCC unroll 8
  for (const Lanes& s : sums) sum += s[0] + s[lanes - 1];
  for (std::int64_t i = part * streams; i < n; ++i) sum += data[i];
  return sum;
}

}  // namespace

HAC_CPU_TABLE(CeilingLoops, ceiling_loops,
              {.macs = lanes * chains,
               .multiply_add = multiply_add,
               .bf16_macs = bf16_macs,
               .multiply_add_bf16 = multiply_add_bf16,
               .read = read})

}  // namespace hac::cpu
