#pragma once
// Images whose pixels tell: noise, and one that shows which way up it is by four quadrants of
// different colours.

#include <array>

#include "data/image/transforms.h"
#include "kernels/core/random.h"
#include "tests/support/data_fixtures.h"

namespace hac::testing {

using Colour = std::array<std::uint8_t, 3>;
constexpr std::array<Colour, 4> corners{
    {{230, 30, 30}, {30, 200, 40}, {40, 40, 220}, {240, 230, 60}}};

// Four quadrants: top left, top right, bottom left, bottom right.
inline Colour quadrant(int y, int x, int height, int width) {
  return corners[(y >= height / 2 ? 2 : 0) + (x >= width / 2 ? 1 : 0)];
}

inline std::vector<std::uint8_t> quadrants(int height, int width) {
  std::vector<std::uint8_t> packed;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const std::uint8_t v : quadrant(y, x, height, width)) packed.push_back(v);
    }
  }
  return packed;
}

inline void expect_colour(const Sample& s, std::int64_t y, std::int64_t x, const Colour& colour,
                          int tolerance) {
  for (int c = 0; c < 3; ++c) {
    EXPECT_NEAR(s.pixels[(c * s.height + y) * s.width + x], colour[c], tolerance)
        << "channel " << c << " at " << y << ", " << x;
  }
}

inline void expect_quadrants(const Sample& s, int tolerance) {
  for (const std::int64_t y : {s.height / 4, 3 * s.height / 4}) {
    for (const std::int64_t x : {s.width / 4, 3 * s.width / 4}) {
      const int corner = (y >= s.height / 2 ? 2 : 0) + (x >= s.width / 2 ? 1 : 0);
      expect_colour(s, y, x, corners[corner], tolerance);
    }
  }
}

// No shift, mirror, channel or way to shrink it looks like another.
inline Sample noise_image(std::int64_t channels, std::int64_t height, std::int64_t width) {
  Sample s{channels, height, width, std::vector<std::uint8_t>(channels * height * width)};
  for (std::size_t i = 0; i < s.pixels.size(); ++i) {
    s.pixels[i] = static_cast<std::uint8_t>(Philox{1, 7}.bits(i) >> 24);
  }
  return s;
}

// Shorter side to `size`, centre crop.
inline Sample fit(const Sample& image, std::int64_t channels, std::int64_t size) {
  return preprocess(image, {.channels = channels, .resolution = size});
}

// Of a JPEG.
inline std::string segment(int marker, const std::string& body) {
  const auto length = static_cast<unsigned>(body.size() + 2);
  return std::string("\xff") + static_cast<char>(marker) + static_cast<char>(length >> 8) +
         static_cast<char>(length) + body;
}

// With another segment at the front.
inline std::string with(const std::string& jpeg_bytes, const std::string& segment) {
  return jpeg_bytes.substr(0, 2) + segment + jpeg_bytes.substr(2);
}

}  // namespace hac::testing
