#include "data/loader/input_transform.h"

#include <fmt/format.h>

#include "data/image/transforms.h"
#include "kernels/core/error.h"

namespace hac {

void require_square(const View& view, std::int64_t side) {
  if (view.height() == side && view.width() == side) return;
  throw ShapeError(fmt::format("image: expected a pipeline that ends in ({}, {}), got ({}, {})",
                               side, side, view.height(), view.width()));
}

InputTransform::InputTransform(const Preprocessing& p, std::int64_t resolution)
    : channels_(p.channels), native_(p.resolution), resolution_(resolution) {
  if (channels_ < 1 || channels_ > std::ssize(scale_))
    throw ConfigError(fmt::format("images: expected 1 to 3 channels, got {}", channels_));
  if (resolution < 1)
    throw ConfigError(fmt::format("resolution {}: expected at least 1", resolution));
  for (int c = 0; c < 3; ++c) {
    scale_[c] = 1.0f / (255.0f * p.normalization.std[c]);
    shift_[c] = -p.normalization.mean[c] / p.normalization.std[c];
  }
  if (resolution != native_) axis_ = resize_axis(native_, resolution);
}

void InputTransform::operator()(View view, float* out, Scratch& scratch) const {
  view.resample(channels_);
  require_square(view, native_);
  const bool resize = resolution_ != native_;
  const std::int64_t plane = resolution_ * resolution_;
  if (resize) scratch.native.resize(native_ * native_);
  for (std::int64_t c = 0; c < channels_; ++c, out += plane) {
    const float scale = scale_[c], shift = shift_[c];
    const auto normalised = [=](std::uint8_t pixel) { return pixel * scale + shift; };
    float* const square = resize ? scratch.native.data() : out;
    view.write(c, normalised, square);
    view.write_erased(square);
    if (resize) resize_plane(scratch.native.data(), axis_, axis_, out, scratch.rows);
  }
}

Tensor read_input(const std::string& path, const Preprocessing& p, std::int64_t resolution) {
  const Tensor input = Tensor::empty({1, p.channels, resolution, resolution});
  InputTransform::Scratch scratch;
  InputTransform(p, resolution)(apply(evaluation(p), read_image_file(path), {0, 0, 0}),
                                input.as<float>(), scratch);
  return input;
}

}  // namespace hac
