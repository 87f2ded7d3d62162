#pragma once
// The two 16-bit floating-point types as storage: arithmetic is done in float. The same bits on
// the host, under simt and on a GPU (which has instructions for them), but for the bits in a NaN.
//   bf16  1 sign, 8 exponent, 7 mantissa bits
//   f16   1 sign, 5 exponent, 10 mantissa bits (IEEE 754 binary16)
// Conversions from float round to nearest, ties to even; a NaN stays a NaN, f16 overflows to inf.

#include <cstdint>
#include <cstring>
#include <string>

#include "kernels/core/error.h"
#include "kernels/core/types.h"

#ifdef __CUDACC__
#define HAC_HOST_DEVICE __host__ __device__
#else
#define HAC_HOST_DEVICE
#endif

namespace hac {

struct bf16 {
  std::uint16_t bits;
};

struct f16 {
  std::uint16_t bits;
};

namespace half_detail {

HAC_HOST_DEVICE inline std::uint32_t bits_of(float v) {
  std::uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

HAC_HOST_DEVICE inline float float_of(std::uint32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

}  // namespace half_detail

HAC_HOST_DEVICE inline float to_float(float v) { return v; }

HAC_HOST_DEVICE inline float to_float(bf16 v) {
  return half_detail::float_of(static_cast<std::uint32_t>(v.bits) << 16);
}

HAC_HOST_DEVICE inline float to_float(f16 v) {
#ifdef __CUDA_ARCH__
  float converted;
  asm("cvt.f32.f16 %0, %1;" : "=f"(converted) : "h"(v.bits));
  return converted;
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(v.bits & 0x8000u) << 16;
  const std::uint32_t rest = v.bits & 0x7FFFu;
  if (rest >= 0x7C00u) return half_detail::float_of(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
  // No f32 subnormal on the way: threads that compute read those as zero.
  const float magnitude = rest < 0x400u ? static_cast<float>(rest) * 0x1p-24f
                                        : half_detail::float_of((rest << 13) + (112u << 23));
  return half_detail::float_of(sign | half_detail::bits_of(magnitude));
#endif
}

template <class T>
HAC_HOST_DEVICE T from_float(float v);

template <>
HAC_HOST_DEVICE inline float from_float<float>(float v) {
  return v;
}

template <>
HAC_HOST_DEVICE inline bf16 from_float<bf16>(float v) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  bf16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(v));
  return rounded;
#else
  const std::uint32_t bits = half_detail::bits_of(v);
  const std::uint32_t nan = bits | 0x400000u, number = bits + 0x7FFFu + (bits >> 16 & 1u);
  const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return {static_cast<std::uint16_t>((is_nan ? nan : number) >> 16)};
#endif
}

template <>
HAC_HOST_DEVICE inline f16 from_float<f16>(float v) {
#ifdef __CUDA_ARCH__
  f16 rounded;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(v));
  return rounded;
#else
  const std::uint32_t bits = half_detail::bits_of(v);
  const std::uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7FFFFFFFu;
  std::uint32_t half;
  if (rest > 0x7F800000u) {
    half = 0x7E00u;
  } else if (rest >= 0x477FF000u) {  // 65520 and more round to infinity
    half = 0x7C00u;
  } else if (rest < 0x38800000u) {  // below 2^-14: adding 0.5 leaves the rounded subnormal behind
    half = half_detail::bits_of(half_detail::float_of(rest) + 0.5f) - 0x3F000000u;
  } else {
    half = (rest + 0xFFFu + (rest >> 13 & 1u) - 0x38000000u) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | half)};
#endif
}

// run(T{}) with T the C++ type of one of the three float types; ConfigError for any other.
template <class Run>
void by_dtype(Dtype dtype, Run run) {
  if (dtype == Dtype::f32) return run(float{});
  if (dtype == Dtype::bf16) return run(bf16{});
  if (dtype == Dtype::f16) return run(f16{});
  throw ConfigError("kernels compute in f32, bf16 and f16, not " + std::string(name_of(dtype)));
}

}  // namespace hac
