#pragma once
// Stores past the caches. For .cpp files that end in HAC_CPU_TABLE.

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstring>

#include "kernels/core/types.h"

namespace hac::cpu {
namespace {

// A dx of more bytes is written past the caches, so that its lines are not read from memory first:
// that saves more than the layer before it loses, which finds less of it there.
constexpr std::int64_t past_caches = 4 << 20;

template <bool kPast, class V>
void write(V value, void* to) {
#if defined(__AVX512F__)
  if constexpr (kPast && sizeof value == sizeof(__m512)) {
    _mm512_stream_ps(as<float>(to), reinterpret_cast<__m512>(value));
    return;
  }
#endif
#if defined(__AVX__)
  if constexpr (kPast && sizeof value == sizeof(__m256)) {
    _mm256_stream_ps(as<float>(to), reinterpret_cast<__m256>(value));
    return;
  }
#endif
  std::memcpy(to, &value, sizeof value);
}

inline void end_stores_past_caches() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace hac::cpu
