// kernels/core/half.h against rounding in double precision, and against the compiler's own
// binary16.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/core/half.h"
#include "kernels/core/random.h"

#if defined(__FLT16_MANT_DIG__) && defined(__GNUC__) && !defined(__clang__)
#define HAC_TEST_FLOAT16 1
#endif

namespace hac {
namespace {

// Value of the bits by the definition of the format. bias = 2^(exponent bits - 1) - 1.
double value_of(std::uint16_t bits, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  }
  const double scale = std::ldexp(1.0, -mantissa_bits);
  return exponent == 0 ? sign * std::ldexp(mantissa * scale, 1 - bias)
                       : sign * std::ldexp(1 + mantissa * scale, exponent - bias);
}

// The nearest value of the format, ties to even, in double precision (which holds all exactly).
double round_to(double v, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  if (v == 0 || !std::isfinite(v)) return v;
  const int exponent = std::max(std::ilogb(v), 1 - bias);
  const double step = std::ldexp(1.0, exponent - mantissa_bits);
  const double rounded = std::nearbyint(v / step) * step;  // ties to even is the default mode
  return std::abs(rounded) >= std::ldexp(1.0, bias + 1) ? std::copysign(INFINITY, v) : rounded;
}

template <class T>
constexpr int exponent_bits_of = std::is_same_v<T, bf16> ? 8 : 5;

template <class T>
void expect_rounded(float v) {
  const float got = to_float(from_float<T>(v));
  if (std::isnan(v)) {
    ASSERT_TRUE(std::isnan(got));
    return;
  }
  const double expected = round_to(v, exponent_bits_of<T>);
  ASSERT_EQ(got, expected) << std::hexfloat << v;
  ASSERT_EQ(std::signbit(got), std::signbit(v)) << std::hexfloat << v;
}

template <class T>
class Half : public testing::Test {};
using Types = testing::Types<bf16, f16>;
TYPED_TEST_SUITE(Half, Types);

TYPED_TEST(Half, AllValuesAreExactAndComeBack) {
  for (int bits = 0; bits < 65536; ++bits) {
    const TypeParam v{static_cast<std::uint16_t>(bits)};
    const double expected = value_of(v.bits, exponent_bits_of<TypeParam>);
    const float got = to_float(v);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
      ASSERT_TRUE(std::isnan(to_float(from_float<TypeParam>(got)))) << bits;
      continue;
    }
    ASSERT_EQ(got, expected) << bits;
    ASSERT_EQ(std::signbit(got), std::signbit(expected)) << bits;
    ASSERT_EQ(from_float<TypeParam>(got).bits, bits);
  }
}

// Around every value and around the middle to the next one: the ties and their neighbours.
TYPED_TEST(Half, RoundsToTheNearestTiesToEven) {
  for (int bits = 0; bits < 65536; ++bits) {
    const float a = to_float(TypeParam{static_cast<std::uint16_t>(bits)});
    const float b = to_float(TypeParam{static_cast<std::uint16_t>(bits + 1)});
    if (!std::isfinite(a) || !std::isfinite(b)) continue;
    const float middle = static_cast<float>((double{a} + b) / 2);
    for (const float v : {a, middle}) {
      expect_rounded<TypeParam>(v);
      expect_rounded<TypeParam>(std::nextafter(v, INFINITY));
      expect_rounded<TypeParam>(std::nextafter(v, -INFINITY));
    }
  }
}

TYPED_TEST(Half, RandomBitsRoundAsInDoublePrecision) {
  const Philox random{17, 0};
  for (std::uint64_t i = 0; i < 1000000; ++i) {
    expect_rounded<TypeParam>(std::bit_cast<float>(random.bits(i)));
  }
}

TYPED_TEST(Half, TheEdges) {
  const bool wide = exponent_bits_of<TypeParam> == 8;
  const float largest = wide ? 0x1.FEp127f : 65504, smallest = wide ? 0x1p-133f : 0x1p-24f;
  // Half a step beyond the largest value is a tie that goes to infinity.
  const float over = wide ? 0x1.FFp127f : 65520;
  for (const float sign : {1.f, -1.f}) {
    const auto there_and_back = [&](float v) { return to_float(from_float<TypeParam>(sign * v)); };
    EXPECT_EQ(there_and_back(largest), sign * largest);
    EXPECT_EQ(there_and_back(over), sign * INFINITY);
    EXPECT_EQ(there_and_back(std::nextafter(over, 0.f)), sign * largest);
    EXPECT_EQ(there_and_back(std::numeric_limits<float>::max()), sign * INFINITY);
    EXPECT_EQ(there_and_back(INFINITY), sign * INFINITY);
    EXPECT_EQ(there_and_back(smallest), sign * smallest);
    EXPECT_EQ(there_and_back(smallest / 2), 0) << "a tie, to even";
    EXPECT_EQ(there_and_back(std::nextafter(smallest / 2, 1.f)), sign * smallest);
    EXPECT_EQ(std::signbit(there_and_back(0)), sign < 0);
  }
  // A NaN whose mantissa is only in the low bits must not become an infinity.
  for (const std::uint32_t bits : {0x7F800001u, 0xFF800001u, 0x7FC00000u, 0x7FFFFFFFu}) {
    const TypeParam v = from_float<TypeParam>(std::bit_cast<float>(bits));
    EXPECT_TRUE(std::isnan(to_float(v))) << std::hex << bits;
    EXPECT_EQ(v.bits >> 15, bits >> 31) << "keeps its sign";
  }
}

#ifdef HAC_TEST_FLOAT16
TEST(Float16, IsTheCompilers) {
  const Philox random{18, 0};
  for (std::uint64_t i = 0; i < 300000; ++i) {
    const float v = std::bit_cast<float>(random.bits(i));
    if (std::isnan(v)) continue;
    ASSERT_EQ(from_float<f16>(v).bits, std::bit_cast<std::uint16_t>(static_cast<_Float16>(v))) << v;
    const auto bits = static_cast<std::uint16_t>(random.bits(i) >> 5);
    const float back = to_float(f16{bits}), theirs = std::bit_cast<_Float16>(bits);
    if (std::isnan(theirs)) continue;
    ASSERT_EQ(back, theirs) << bits;
  }
}
#endif

}  // namespace
}  // namespace hac
