#include "data/image/sample.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "kernels/core/error.h"

namespace hac {

void check_shape(const SampleView& image) {
  const std::int64_t c = image.channels, h = image.height, w = image.width;
  if (h < 1 || w < 1) {
    throw ShapeError(fmt::format("image: expected pixels, got ({}, {}, {})", c, h, w));
  }
  if (std::ssize(image.pixels) != c * h * w) {
    throw ShapeError(fmt::format("image: expected {} bytes for ({}, {}, {}), got {}", c * h * w, c,
                                 h, w, image.pixels.size()));
  }
}

SampleView view_of(Sample sample) {
  const auto owner = std::make_shared<const Sample>(std::move(sample));
  SampleView view{owner->channels, owner->height, owner->width, owner->pixels, owner};
  check_shape(view);
  return view;
}

}  // namespace hac
