#include "data/image/view.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/image/resize.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

Sample convert_channels(Sample image, std::int64_t channels) {
  if (image.channels == channels) return image;
  const std::int64_t plane = image.height * image.width;
  if (image.channels == 1 && channels == 3) {
    image.pixels.resize(3 * plane);
    for (int c = 1; c < 3; ++c)
      std::copy_n(image.pixels.begin(), plane, image.pixels.begin() + c * plane);
  } else if (image.channels == 3 && channels == 1) {
    const std::uint8_t* in = image.pixels.data();
    for (std::int64_t i = 0; i < plane; ++i) {
      // 16-bit fixed point, the rounding of PIL.
      const std::uint32_t luma =
          19595u * in[i] + 38470u * in[plane + i] + 7471u * in[2 * plane + i];
      image.pixels[i] = static_cast<std::uint8_t>((luma + 0x8000) >> 16);
    }
    image.pixels.resize(plane);
  } else {
    throw ShapeError(fmt::format("image: cannot turn {} channels into {} (expected 1 or 3)",
                                 image.channels, channels));
  }
  image.channels = channels;
  return image;
}

}  // namespace

View::View(Sample image) : image_(std::move(image)), y_(image_.height), x_(image_.width) {
  if (image_.height < 1 || image_.width < 1) {
    throw ShapeError(fmt::format("image: expected pixels, got ({}, {}, {})", image_.channels,
                                 image_.height, image_.width));
  }
}

void View::Axis::window(std::int64_t from, std::int64_t n) {
  if (moved() || reaches_out(from, n)) {
    offset += from;
  } else {
    first += from;
    count = n;
  }
  size = n;
}

void View::apply_pending() { *this = View(render(image_.channels)); }

Sample& View::pixels() {
  apply_pending();
  return image_;
}

void View::resize(std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1) {
    throw ConfigError(
        fmt::format("resize: expected sides of at least 1, got ({}, {})", height, width));
  }
  if (height == this->height() && width == this->width()) return;
  const bool whole = y_.size == image_.height && x_.size == image_.width;
  const bool resized = y_.scaled != image_.height || x_.scaled != image_.width;
  if (resized || !whole || y_.moved() || x_.moved() || mirrored_) apply_pending();
  y_ = Axis(height);
  x_ = Axis(width);
}

void View::window(std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  // Pixels that an earlier window hides must not come back behind the border of this one.
  if ((y_.hides() && y_.reaches_out(top, height)) || (x_.hides() && x_.reaches_out(left, width))) {
    apply_pending();
  }
  if (mirrored_) left = this->width() - left - width;
  y_.window(top, height);
  x_.window(left, width);
}

void View::resample(std::int64_t channels) {
  const std::int64_t h = image_.height, w = image_.width;
  check_shape({image_.channels, h, w, image_.pixels});
  if (y_.scaled != h || x_.scaled != w) {
    image_ = hac::resize({image_.channels, h, w, image_.pixels},
                         resize_axis(h, y_.scaled, y_.first, y_.count),
                         resize_axis(w, x_.scaled, x_.first, x_.count));
    y_.scaled = y_.count;
    x_.scaled = x_.count;
    y_.first = x_.first = 0;
  }
  image_ = convert_channels(std::move(image_), channels);
}

Sample View::render(std::int64_t channels) {
  resample(channels);
  const bool as_it_is = !y_.moved() && !x_.moved() && !mirrored_ && y_.count == image_.height &&
                        x_.count == image_.width && erased_.empty();
  if (as_it_is) return std::move(image_);
  Sample out{channels, height(), width(), {}};
  const std::int64_t plane = height() * width();
  out.pixels.resize(channels * plane);
  const auto same = [](std::uint8_t pixel) { return pixel; };
  for (std::int64_t c = 0; c < channels; ++c) {
    write(c, same, out.pixels.data() + c * plane);
    write_erased(out.pixels.data() + c * plane);
  }
  return out;
}

}  // namespace hac
