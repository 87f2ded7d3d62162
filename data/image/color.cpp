#include "data/image/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace hac {
namespace {

std::uint8_t cut(float value) { return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f)); }

std::int64_t plane_of(const Sample& s) { return s.height * s.width; }

// other(i): what pixel i is blended with.
template <class Other>
void blend(Sample& s, double factor, Other other) {
  const auto own = static_cast<float>(factor), rest = static_cast<float>(1.0 - factor);
  for (std::int64_t i = 0; i < std::ssize(s.pixels); ++i) {
    s.pixels[i] = cut(own * static_cast<float>(s.pixels[i]) + rest * static_cast<float>(other(i)));
  }
}

std::vector<std::uint8_t> luma(const Sample& s) {
  if (s.channels == 1) return s.pixels;
  const std::int64_t plane = plane_of(s);
  const std::uint8_t *r = s.pixels.data(), *g = r + plane, *b = g + plane;
  std::vector<std::uint8_t> grey(plane);
  for (std::int64_t i = 0; i < plane; ++i) {
    grey[i] = static_cast<std::uint8_t>(0.2989f * r[i] + 0.587f * g[i] + 0.114f * b[i]);
  }
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
  for (int v = 0; v < 256; ++v) to[v] = cut((static_cast<float>(v) - low) * scale);
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

using Rgb = std::array<float, 3>;

// Each in [0, 1].
Rgb hsv_of(const Rgb& x) {
  const auto [r, g, b] = x;
  const float most = std::max({r, g, b}), range = most - std::min({r, g, b});
  if (range == 0) return {0, 0, most};
  const float rc = (most - r) / range, gc = (most - g) / range, bc = (most - b) / range;
  const float h = most == r ? bc - gc : most == g ? 2.0f + rc - bc : 4.0f + gc - rc;
  return {std::fmod(h / 6.0f + 1.0f, 1.0f), range / most, most};
}

Rgb rgb_of(const Rgb& x) {
  const auto [h, s, v] = x;
  const auto bound = [](float value) { return std::clamp(value, 0.0f, 1.0f); };
  const float sector = std::floor(h * 6.0f), f = h * 6.0f - sector;
  const float p = bound(v * (1.0f - s)), q = bound(v * (1.0f - s * f)),
              t = bound(v * (1.0f - s * (1.0f - f)));
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

}  // namespace

void adjust_brightness(Sample& image, double factor) {
  blend(image, factor, [](std::int64_t) { return 0; });
}

void adjust_contrast(Sample& image, double factor) {
  const std::vector<std::uint8_t> grey = luma(image);
  const std::int64_t sum = std::accumulate(grey.begin(), grey.end(), std::int64_t{0});
  const float mean = static_cast<float>(sum) / static_cast<float>(grey.size());
  blend(image, factor, [mean](std::int64_t) { return mean; });
}

void adjust_saturation(Sample& image, double factor) {
  if (image.channels == 1) return;
  const std::int64_t plane = plane_of(image);
  const std::vector<std::uint8_t> grey = luma(image);
  blend(image, factor, [&](std::int64_t i) { return grey[i % plane]; });
}

void adjust_sharpness(Sample& image, double factor) {
  if (image.height <= 2 || image.width <= 2) return;
  const std::vector<std::uint8_t> soft = blurred(image);
  blend(image, factor, [&](std::int64_t i) { return soft[i]; });
}

void adjust_hue(Sample& image, double shift) {
  if (image.channels == 1) return;
  const std::int64_t plane = plane_of(image);
  std::uint8_t* p = image.pixels.data();
  for (std::int64_t i = 0; i < plane; ++i) {
    Rgb hsv = hsv_of({p[i] / 255.0f, p[plane + i] / 255.0f, p[2 * plane + i] / 255.0f});
    const float turned = std::fmod(hsv[0] + static_cast<float>(shift), 1.0f);
    hsv[0] = turned < 0 ? turned + 1.0f : turned;
    const Rgb rgb = rgb_of(hsv);
    for (int c = 0; c < 3; ++c) p[c * plane + i] = cut(rgb[c] * 255.999f);
  }
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
