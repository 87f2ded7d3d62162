#include "data/image/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace hac {
namespace {

std::int64_t plane_of(const Sample& s) { return s.height * s.width; }

// other(i): what pixel i is blended with.
template <class Other>
void blend(Sample& s, const ColorStep step, Other other) {
  for (std::int64_t i = 0; i < std::ssize(s.pixels); ++i) {
    s.pixels[i] = color::blend(step, s.pixels[i], static_cast<float>(other(i)));
  }
}

std::vector<std::uint8_t> luma(const Sample& s) {
  if (s.channels == 1) return s.pixels;
  const std::int64_t plane = plane_of(s);
  const std::uint8_t *r = s.pixels.data(), *g = r + plane, *b = g + plane;
  std::vector<std::uint8_t> grey(plane);
  for (std::int64_t i = 0; i < plane; ++i) grey[i] = color::luma(r[i], g[i], b[i]);
  return grey;
}

std::vector<std::uint8_t> blurred(const Sample& s) {
  std::vector<std::uint8_t> out = s.pixels;
  const std::int64_t w = s.width;
  for (std::int64_t row = 0; row < s.channels * s.height; ++row) {
    const std::int64_t y = row % s.height;
    if (y == 0 || y == s.height - 1) continue;
    for (std::int64_t x = 1; x + 1 < w; ++x) {
      const std::uint8_t* at = s.pixels.data() + row * w + x;
      int sum = 4 * at[0];
      for (std::int64_t dy : {-w, std::int64_t{0}, w}) sum += at[dy - 1] + at[dy] + at[dy + 1];
      out[row * w + x] = static_cast<std::uint8_t>((2 * sum + 13) / 26);
    }
  }
  return out;
}

// table(channel's pixels) -> what each value becomes.
template <class Table>
void map_channels(Sample& s, Table table) {
  const std::int64_t plane = plane_of(s);
  for (std::int64_t c = 0; c < s.channels; ++c) {
    std::uint8_t* pixels = s.pixels.data() + c * plane;
    const std::array<std::uint8_t, 256> to = table(pixels, plane);
    for (std::int64_t i = 0; i < plane; ++i) pixels[i] = to[pixels[i]];
  }
}

template <class F>
void map_values(Sample& s, F f) {
  std::transform(s.pixels.begin(), s.pixels.end(), s.pixels.begin(),
                 [f](std::uint8_t x) { return static_cast<std::uint8_t>(f(x)); });
}

std::array<std::uint8_t, 256> identity() {
  std::array<std::uint8_t, 256> to;
  std::iota(to.begin(), to.end(), std::uint8_t{0});
  return to;
}

std::array<std::uint8_t, 256> stretched(const std::uint8_t* pixels, std::int64_t n) {
  const auto [least, most] = std::minmax_element(pixels, pixels + n);
  std::array<std::uint8_t, 256> to = identity();
  if (*least == *most) return to;
  const float low = *least, scale = 1.0f / (static_cast<float>(*most) - low) * 255.0f;
  for (int v = 0; v < 256; ++v) to[v] = color::cut((static_cast<float>(v) - low) * scale);
  return to;
}

std::array<std::uint8_t, 256> levelled(const std::uint8_t* pixels, std::int64_t n) {
  std::array<std::int64_t, 256> count{};
  for (std::int64_t i = 0; i < n; ++i) ++count[pixels[i]];
  const auto last = std::find_if(count.rbegin(), count.rend(), [](auto c) { return c > 0; });
  const std::int64_t step = (n - *last) / 255;
  std::array<std::uint8_t, 256> to = identity();
  if (step == 0) return to;
  std::int64_t below = 0;
  for (int v = 0; v < 256; ++v) {
    to[v] = static_cast<std::uint8_t>(
        v == 0 ? 0 : std::min<std::int64_t>(255, (below + step / 2) / step));
    below += count[v];
  }
  return to;
}

float mean(const std::vector<std::uint8_t>& grey) {
  const std::int64_t sum = std::accumulate(grey.begin(), grey.end(), std::int64_t{0});
  return static_cast<float>(sum) / static_cast<float>(grey.size());
}

void turn_hue(Sample& image, float shift) {
  const std::int64_t plane = plane_of(image);
  std::uint8_t* p = image.pixels.data();
  for (std::int64_t i = 0; i < plane; ++i) {
    color::turn_hue(shift, p[i], p[plane + i], p[2 * plane + i]);
  }
}

}  // namespace

void adjust(Sample& image, const ColorStep& step) {
  const bool grey = image.channels == 1;
  switch (step.what) {
    case Adjustment::brightness:
      return blend(image, step, [](std::int64_t) { return 0; });
    case Adjustment::contrast:
      return blend(image, step, [y = mean(luma(image))](std::int64_t) { return y; });
    case Adjustment::saturation:
      if (grey) return;
      return blend(image, step, [y = luma(image), plane = plane_of(image)](std::int64_t i) {
        return y[i % plane];
      });
    case Adjustment::hue:
      if (!grey) turn_hue(image, step.own);
  }
}

void adjust_sharpness(Sample& image, double factor) {
  if (image.height <= 2 || image.width <= 2) return;
  // The formula is brightness's, with what is soft in place of black.
  blend(image, {Adjustment::brightness, factor},
        [soft = blurred(image)](std::int64_t i) { return soft[i]; });
}

void posterize(Sample& image, int bits) {
  map_values(image, [mask = -(1 << (8 - bits))](std::uint8_t x) { return x & mask; });
}

void solarize(Sample& image, double threshold) {
  const auto from = static_cast<float>(threshold);
  map_values(image, [from](std::uint8_t x) { return static_cast<float>(x) >= from ? 255 - x : x; });
}

void autocontrast(Sample& image) { map_channels(image, stretched); }
void equalize(Sample& image) { map_channels(image, levelled); }
void invert(Sample& image) {
  map_values(image, [](std::uint8_t x) { return 255 - x; });
}

}  // namespace hac
