#include "data/image/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "data/image/color.h"
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

Sample own(std::variant<Sample, SampleView> image) {
  if (auto* sample = std::get_if<Sample>(&image)) return std::move(*sample);
  const auto& v = std::get<SampleView>(image);
  return {v.channels, v.height, v.width, {v.pixels.begin(), v.pixels.end()}};
}

bool moved(const View::Axis& a) { return a.offset != 0 || a.size != a.count; }
bool hides(const View::Axis& a) { return a.offset > 0 || a.offset + a.size < a.count; }
bool reaches_out(const View::Axis& a, std::int64_t from, std::int64_t n) {
  return from < 0 || from + n > a.size;
}

void lay(View::Axis& a, std::int64_t from, std::int64_t n) {
  if (moved(a) || reaches_out(a, from, n)) {
    a.offset += from;
  } else {
    a.first += from;
    a.count = n;
  }
  a.size = n;
}

void check_sides(const SampleView& image) {
  if (image.height < 1 || image.width < 1) {
    throw ShapeError(fmt::format("image: expected pixels, got ({}, {}, {})", image.channels,
                                 image.height, image.width));
  }
}

}  // namespace

View::View(Sample image)
    : image_(std::move(image)), y_(this->image().height), x_(this->image().width) {
  check_sides(this->image());
}

View::View(SampleView image, const Window& window, std::int64_t height, std::int64_t width)
    : image_(std::move(image)), y_(this->image().height), x_(this->image().width) {
  check_sides(this->image());
  const auto set = [](Axis& axis, double begin, double length, std::int64_t size) {
    axis.begin = begin;
    axis.length = length;
    axis.scaled = axis.count = axis.size = size;
  };
  set(y_, window.top, window.height, height);
  set(x_, window.left, window.width, width);
}

SampleView View::image() const {
  if (const auto* view = std::get_if<SampleView>(&image_)) {
    return {view->channels, view->height, view->width, view->pixels};
  }
  const Sample& sample = std::get<Sample>(image_);
  return {sample.channels, sample.height, sample.width, sample.pixels};
}

Sample& View::pixels() {
  finish();
  return std::get<Sample>(image_);
}

void View::resize(std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1) {
    throw ConfigError(
        fmt::format("resize: expected sides of at least 1, got ({}, {})", height, width));
  }
  if (height == this->height() && width == this->width()) return;
  const bool whole = y_.size == y_.in && x_.size == x_.in;
  if (resized() || !whole || moved(y_) || moved(x_) || mirrored_ || !colors_.empty()) finish();
  y_.scaled = y_.count = y_.size = height;
  x_.scaled = x_.count = x_.size = width;
}

void View::window(std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  // Pixels that an earlier window hides must not come back behind the border of this one.
  const bool uncovers =
      (hides(y_) && reaches_out(y_, top, height)) || (hides(x_) && reaches_out(x_, left, width));
  if (uncovers || !colors_.empty()) finish();
  if (mirrored_) left = this->width() - left - width;
  lay(y_, top, height);
  lay(x_, left, width);
}

void View::adjust(Adjustment what, double factor) {
  if (!erased_.empty()) finish();
  colors_.emplace_back(what, factor);
}

void View::resample(std::int64_t channels) {
  if (!colors_.empty()) settle(image().channels);
  const SampleView image = this->image();
  check_shape(image);
  if (resized()) {
    image_ = hac::resize(image, y_.resize(), x_.resize());
    for (Axis* axis : {&y_, &x_}) {
      const std::int64_t offset = axis->offset, size = axis->size;
      *axis = Axis(axis->count);
      axis->offset = offset;
      axis->size = size;
    }
  }
  if (this->image().channels != channels) {
    image_ = convert_channels(own(std::move(image_)), channels);
  }
}

void View::settle(std::int64_t channels) {
  const auto colors = std::exchange(colors_, {});
  const auto erased = std::exchange(erased_, {});
  Sample square = render(image().channels);
  for (const ColorStep& step : colors) hac::adjust(square, step);
  *this = View(convert_channels(std::move(square), channels));
  erased_ = erased;
}

Sample View::render(std::int64_t channels) {
  resample(channels);
  const bool as_it_is = !moved(y_) && !moved(x_) && !mirrored_ && y_.count == y_.in &&
                        x_.count == x_.in && erased_.empty();
  if (as_it_is) return own(std::move(image_));
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
