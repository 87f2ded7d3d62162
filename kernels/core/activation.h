#pragma once
// The functions that follow a convolution, a batch norm or a sum, and their derivatives: the same
// numbers on every device. A NaN stays a NaN.
//
//   none       x
//   relu       max(x, 0)
//   relu6      min(max(x, 0), 6)
//   silu       x * sigmoid(x)          (also called swish)
//   hardswish  x * relu6(x + 3) / 6
//   sigmoid    1 / (1 + exp(-x))
// none, relu, relu6 and silu have kernels; asking for another is a DeviceError.

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "kernels/core/half.h"

namespace hac {

enum class Activation : std::uint8_t { none, relu, relu6, silu, hardswish, sigmoid };

inline constexpr std::string_view activation_names[] = {"none", "relu",      "relu6",
                                                        "silu", "hardswish", "sigmoid"};

namespace activation_detail {

// exp(x) to 2 units in the last place, within [-87, 88]; without a branch, so loops of it are
// vectorised. x = n ln 2 + r, |r| <= ln 2 / 2; exp(r) by its series.
HAC_HOST_DEVICE inline float exponential(float x) {
  x = x < -87.f ? -87.f : x;
  x = x > 88.f ? 88.f : x;
  constexpr float shift = 12582912.f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504f + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float series = 1.f / 720;
  series = series * r + 1.f / 120;
  series = series * r + 1.f / 24;
  series = series * r + 1.f / 6;
  series = series * r + 0.5f;
  series = series * r + 1;
  series = series * r + 1;
  const std::uint32_t power = (half_detail::bits_of(shifted) + 127u) << 23;
  return series * half_detail::float_of(power);
}

HAC_HOST_DEVICE inline float sigmoid(float x) { return 1.f / (1.f + exponential(-x)); }

}  // namespace activation_detail

template <Activation A>
HAC_HOST_DEVICE inline float activate(float x) {
  static_assert(A == Activation::none || A == Activation::relu || A == Activation::relu6 ||
                A == Activation::silu);
  if constexpr (A == Activation::relu) return x < 0.f ? 0.f : x;
  if constexpr (A == Activation::relu6) return x < 0.f ? 0.f : x > 6.f ? 6.f : x;
  if constexpr (A == Activation::silu) return x * activation_detail::sigmoid(x);
  return x;
}

// Whether dx of y = activate(x) can be had from y in the place of x. (Of a ReLU6 it cannot in 16
// bits, where what is a little less than 6 becomes 6.)
constexpr bool output_tells_gradient(Activation a) {
  return a == Activation::none || a == Activation::relu;
}

template <Activation A>
HAC_HOST_DEVICE inline float activation_gradient(float x, float dy) {
  if constexpr (A == Activation::relu) return x > 0.f ? dy : 0.f;
  if constexpr (A == Activation::relu6) return x > 0.f && x < 6.f ? dy : 0.f;
  if constexpr (A == Activation::silu) {
    const float s = activation_detail::sigmoid(x);
    return dy * (s * (1.f + x * (1.f - s)));
  }
  return dy;
}

constexpr bool has_kernels(Activation a) {
  return a == Activation::none || a == Activation::relu || a == Activation::relu6 ||
         a == Activation::silu;
}

// Calls run(std::integral_constant<Activation, A>()), A one that has kernels.
template <class Run>
constexpr void by_activation(Activation a, Run run) {
  if (a == Activation::relu) return run(std::integral_constant<Activation, Activation::relu>());
  if (a == Activation::relu6) return run(std::integral_constant<Activation, Activation::relu6>());
  if (a == Activation::silu) return run(std::integral_constant<Activation, Activation::silu>());
  run(std::integral_constant<Activation, Activation::none>());
}

// For a kernel that every thread runs with the same `a`.
HAC_HOST_DEVICE inline float activate(Activation a, float x) {
  if (a == Activation::relu) return activate<Activation::relu>(x);
  if (a == Activation::relu6) return activate<Activation::relu6>(x);
  if (a == Activation::silu) return activate<Activation::silu>(x);
  return x;
}

HAC_HOST_DEVICE inline float activation_gradient(Activation a, float x, float dy) {
  if (a == Activation::relu) return activation_gradient<Activation::relu>(x, dy);
  if (a == Activation::relu6) return activation_gradient<Activation::relu6>(x, dy);
  if (a == Activation::silu) return activation_gradient<Activation::silu>(x, dy);
  return dy;
}

}  // namespace hac
