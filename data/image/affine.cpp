#include "data/image/affine.h"

#include <array>
#include <cmath>
#include <numbers>

namespace hac {
namespace {

constexpr double radians = std::numbers::pi / 180, degrees_of = 180 / std::numbers::pi;

using Matrix = std::array<double, 6>;

// From where a pixel comes, both counted from the centre of the image: the inverse of a rotation
// and shears (all in degrees) that leave (cx, cy) where it is.
Matrix inverse(double cx, double cy, double angle, double shear_x, double shear_y) {
  const double rot = angle * radians, sx = shear_x * radians, sy = shear_y * radians;
  const double a = std::cos(rot - sy) / std::cos(sy);
  const double b = -std::cos(rot - sy) * std::tan(sx) / std::cos(sy) - std::sin(rot);
  const double c = std::sin(rot - sy) / std::cos(sy);
  const double d = -std::sin(rot - sy) * std::tan(sx) / std::cos(sy) + std::cos(rot);
  Matrix m{d, -b, 0, -c, a, 0};
  m[2] += m[0] * -cx + m[1] * -cy;
  m[5] += m[3] * -cx + m[4] * -cy;
  m[2] += cx;
  m[5] += cy;
  return m;
}

// One coordinate of where the pixel (y, x) comes from: f32 throughout, as grid_sample() has it.
class Source {
 public:
  Source(const double* row, std::int64_t size) : half_(0.5f * static_cast<float>(size)) {
    for (int i = 0; i < 3; ++i) m_[i] = static_cast<float>(row[i]) / half_;
  }
  float operator()(float y, float x) const {
    const float grid = (x * m_[0] + y * m_[1]) + m_[2];
    return std::rint((grid + 1.0f) * half_ - 0.5f);
  }

 private:
  float half_;
  std::array<float, 3> m_;
};

void warp(Sample& image, const Matrix& m) {
  const std::int64_t h = image.height, w = image.width;
  const Source from_x(m.data(), w), from_y(m.data() + 3, h);
  const auto centred = [](std::int64_t at, std::int64_t size) {
    return static_cast<float>(at) + (0.5f - 0.5f * static_cast<float>(size));
  };
  const std::vector<std::uint8_t> in = std::move(image.pixels);
  image.pixels.assign(in.size(), 0);
  for (std::int64_t y = 0; y < h; ++y) {
    for (std::int64_t x = 0; x < w; ++x) {
      const float fx = from_x(centred(y, h), centred(x, w));
      const float fy = from_y(centred(y, h), centred(x, w));
      if (!(fx >= 0 && fx < static_cast<float>(w) && fy >= 0 && fy < static_cast<float>(h))) {
        continue;
      }
      const std::int64_t source = static_cast<std::int64_t>(fy) * w + static_cast<std::int64_t>(fx);
      for (std::int64_t c = 0; c < image.channels; ++c) {
        image.pixels[c * h * w + y * w + x] = in[c * h * w + source];
      }
    }
  }
}

}  // namespace

void rotate(Sample& image, double degrees) { warp(image, inverse(0, 0, -degrees, 0, 0)); }

void shear_x(Sample& image, double level) {
  const double cx = -0.5 * static_cast<double>(image.width),
               cy = -0.5 * static_cast<double>(image.height);
  warp(image, inverse(cx, cy, 0, std::atan(level) * degrees_of, 0));
}

void shear_y(Sample& image, double level) {
  const double cx = -0.5 * static_cast<double>(image.width),
               cy = -0.5 * static_cast<double>(image.height);
  warp(image, inverse(cx, cy, 0, 0, std::atan(level) * degrees_of));
}

}  // namespace hac
