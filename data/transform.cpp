#include "data/transform.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace hac {
namespace {

// Row `row` of the shifted and mirrored plane, normalised. A null row lies outside the image.
void transform_row(const std::uint8_t* row, std::int64_t width, const Augmentation& a, float scale,
                   float shift, float* out) {
  const std::int64_t lo = std::clamp<std::int64_t>(-a.dx, 0, width);
  const std::int64_t hi = std::clamp<std::int64_t>(width - a.dx, 0, width);
  if (!row || lo >= hi) {
    std::fill(out, out + width, shift);
    return;
  }
  if (a.mirror) {
    std::fill(out, out + width - hi, shift);
    std::fill(out + width - lo, out + width, shift);
    const std::uint8_t* last = row + a.dx + hi - 1;
    for (std::int64_t x = 0; x < hi - lo; ++x) out[width - hi + x] = last[-x] * scale + shift;
  } else {
    std::fill(out, out + lo, shift);
    std::fill(out + hi, out + width, shift);
    for (std::int64_t x = lo; x < hi; ++x) out[x] = row[x + a.dx] * scale + shift;
  }
}

Sample convert_channels(const Sample& image, std::int64_t channels) {
  if (image.channels == channels) return image;
  Sample out{channels, image.height, image.width, {}, image.label};
  const std::int64_t plane = image.height * image.width;
  out.pixels.resize(channels * plane);
  const std::uint8_t* in = image.pixels.data();
  if (image.channels == 1 && channels == 3) {
    for (int c = 0; c < 3; ++c) std::copy(in, in + plane, out.pixels.begin() + c * plane);
  } else if (image.channels == 3 && channels == 1) {
    for (std::int64_t i = 0; i < plane; ++i) {
      // 16-bit fixed point, the rounding of PIL.
      const std::uint32_t luma =
          19595u * in[i] + 38470u * in[plane + i] + 7471u * in[2 * plane + i];
      out.pixels[i] = static_cast<std::uint8_t>((luma + 0x8000) >> 16);
    }
  } else {
    throw ShapeError(fmt::format("image: cannot turn {} channels into {} (expected 1 or 3)",
                                 image.channels, channels));
  }
  return out;
}

}  // namespace

void require_size(const Sample& sample, std::int64_t channels, std::int64_t native) {
  if (sample.channels == channels && sample.height == native && sample.width == native &&
      std::ssize(sample.pixels) == channels * native * native) {
    return;
  }
  throw ShapeError(fmt::format("sample: expected ({}, {}, {}), got ({}, {}, {}) with {} bytes",
                               channels, native, native, sample.channels, sample.height,
                               sample.width, sample.pixels.size()));
}

InputTransform::InputTransform(std::int64_t channels, std::int64_t native, std::int64_t resolution,
                               const Normalization& normalization)
    : channels_(channels), native_(native), resolution_(resolution) {
  if (channels < 1 || channels > std::ssize(scale_))
    throw ConfigError(fmt::format("images: expected 1 to 3 channels, got {}", channels));
  if (resolution < 1)
    throw ConfigError(fmt::format("resolution {}: expected at least 1", resolution));
  for (int c = 0; c < 3; ++c) {
    scale_[c] = 1.0f / (255.0f * normalization.std[c]);
    shift_[c] = -normalization.mean[c] / normalization.std[c];
  }
  if (resolution != native) axis_ = resize_axis(native, resolution);
}

void InputTransform::operator()(const Sample& sample, const Augmentation& augmentation, float* out,
                                Scratch& scratch) const {
  const std::int64_t n = native_, plane = n * n;
  require_size(sample, channels_, n);
  const bool resize = resolution_ != n;
  if (resize) scratch.native.resize(plane);
  for (std::int64_t c = 0; c < channels_; ++c) {
    float* native = resize ? scratch.native.data() : out + c * plane;
    for (std::int64_t y = 0; y < n; ++y) {
      const std::int64_t source = y + augmentation.dy;
      const std::uint8_t* row =
          source >= 0 && source < n ? sample.pixels.data() + c * plane + source * n : nullptr;
      transform_row(row, n, augmentation, scale_[c], shift_[c], native + y * n);
    }
    if (resize) {
      resize_plane(native, axis_, axis_, out + c * resolution_ * resolution_, scratch.rows);
    }
  }
}

Sample fit(const Sample& image, std::int64_t channels, std::int64_t resolution,
           std::int64_t resized) {
  resized = std::max(resized, resolution);
  const std::int64_t h = image.height, w = image.width, shorter = std::min(h, w);
  if (resolution < 1)
    throw ConfigError(fmt::format("resolution {}: expected at least 1", resolution));
  if (shorter < 1 || std::ssize(image.pixels) != image.channels * h * w) {
    throw ShapeError(fmt::format("image: ({}, {}, {}) with {} bytes", image.channels, h, w,
                                 image.pixels.size()));
  }
  if (h == resolution && w == resolution && resized == resolution)
    return convert_channels(image, channels);
  const auto axis = [&](std::int64_t in) {
    const std::int64_t out = resized * in / shorter;
    const auto first = static_cast<std::int64_t>(std::nearbyint((out - resolution) / 2.0));
    return resize_axis(in, out, first, resolution);
  };
  const ResizeAxis vertical = axis(h), horizontal = axis(w);
  Sample out{image.channels, resolution, resolution, {}, image.label};
  const std::int64_t plane = resolution * resolution;
  out.pixels.resize(image.channels * plane);
  std::vector<float> values(plane), scratch;
  for (std::int64_t c = 0; c < image.channels; ++c) {
    resize_plane(image.pixels.data() + c * h * w, vertical, horizontal, values.data(), scratch);
    std::transform(values.begin(), values.end(), out.pixels.begin() + c * plane, [](float v) {
      return static_cast<std::uint8_t>(std::clamp(v + 0.5f, 0.0f, 255.0f));
    });
  }
  return convert_channels(out, channels);
}

}  // namespace hac
