#pragma once
// Colour jitter of one pixel: torchvision's numbers on uint8 tensors, in f32 and cut to integers,
// the same bits on every device. Whoever computes with it is compiled without contraction to fused
// multiply-adds, which would round otherwise.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/core/half.h"

namespace hac {

enum class Adjustment : std::int32_t { brightness, contrast, saturation, hue };

// clamp(own x + rest y), where y is black, the mean of the image's luma or the pixel's luma; of the
// hue, turned by `own` of a circle in HSV. As it lies in a device's memory.
struct ColorStep {
  Adjustment what = Adjustment::brightness;
  float own = 1, rest = 0;
  ColorStep() = default;
  ColorStep(Adjustment what, double factor)
      : what(what), own(static_cast<float>(factor)), rest(static_cast<float>(1.0 - factor)) {}
};

namespace color {

struct Floats3 {
  float x, y, z;
};

HAC_HOST_DEVICE inline std::uint8_t cut(float value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
}

HAC_HOST_DEVICE inline std::uint8_t blend(const ColorStep& step, std::uint8_t x, float y) {
  return cut(step.own * static_cast<float>(x) + step.rest * y);
}

HAC_HOST_DEVICE inline std::uint8_t luma(std::uint8_t r, std::uint8_t g, std::uint8_t b) {
  return static_cast<std::uint8_t>(0.2989f * r + 0.587f * g + 0.114f * b);
}

// RGB to HSV and back, each in [0, 1].
HAC_HOST_DEVICE inline Floats3 hsv_of(float r, float g, float b) {
  const float most = std::max(std::max(r, g), b), range = most - std::min(std::min(r, g), b);
  if (range == 0) return {0, 0, most};
  const float rc = (most - r) / range, gc = (most - g) / range, bc = (most - b) / range;
  const float h = most == r ? bc - gc : most == g ? 2.0f + rc - bc : 4.0f + gc - rc;
  return {std::fmod(h / 6.0f + 1.0f, 1.0f), range / most, most};
}

HAC_HOST_DEVICE inline Floats3 rgb_of(float h, float s, float v) {
  const float sector = std::floor(h * 6.0f), f = h * 6.0f - sector;
  const float p = std::clamp(v * (1.0f - s), 0.0f, 1.0f),
              q = std::clamp(v * (1.0f - s * f), 0.0f, 1.0f),
              t = std::clamp(v * (1.0f - s * (1.0f - f)), 0.0f, 1.0f);
  switch (static_cast<int>(sector) % 6) {
    case 0:
      return {v, t, p};
    case 1:
      return {q, v, p};
    case 2:
      return {p, v, t};
    case 3:
      return {p, q, v};
    case 4:
      return {t, p, v};
    default:
      return {v, p, q};
  }
}

// In place.
HAC_HOST_DEVICE inline void turn_hue(float shift, std::uint8_t& r, std::uint8_t& g,
                                     std::uint8_t& b) {
  const Floats3 hsv = hsv_of(r / 255.0f, g / 255.0f, b / 255.0f);
  const float turned = std::fmod(hsv.x + shift, 1.0f);
  const Floats3 rgb = rgb_of(turned < 0 ? turned + 1.0f : turned, hsv.y, hsv.z);
  r = cut(rgb.x * 255.999f);
  g = cut(rgb.y * 255.999f);
  b = cut(rgb.z * 255.999f);
}

}  // namespace color
}  // namespace hac
