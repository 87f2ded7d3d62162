#include "data/loader/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "data/loader/input_transform.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

std::int64_t most_image_bytes(std::int64_t channels, std::int64_t side) {
  return 4 * channels * side * side + 128 * side;
}

// The pixels that are read of what a view is made of, and how they are resized: taps = 0: not.
struct Source {
  ResizeAxis rows, columns;
  Box part;
  std::int64_t bytes(std::int64_t channels) const {
    const auto table = [](const ResizeAxis& axis) { return 4 * axis.count * (1 + axis.taps); };
    return table(rows) + table(columns) + round_up(channels * part.height * part.width, 4);
  }
};

Source source_of(const View& view) {
  const View::Axis &y = view.rows(), &x = view.columns();
  if (!view.resized()) return {{}, {}, {y.first, x.first, y.count, x.count}};
  const ResizeAxis rows = y.resize(), columns = x.resize();
  return {rows,
          columns,
          {rows.first, columns.first, rows.end - rows.first, columns.end - columns.first}};
}

}  // namespace

std::int64_t most_staged_bytes(std::int64_t images, const Preprocessing& p) {
  const std::int64_t others = images * most_image_bytes(p.channels, p.resolution);
  return round_up(StagedBatch::records(images).end + others, 16);
}

StagedBatch::StagedBatch(void* to, std::int64_t images, std::int64_t first, const Preprocessing& p)
    : to_(static_cast<std::uint8_t*>(to)),
      channels_(p.channels),
      side_(p.resolution),
      next_(first) {
  others_.begin = records(images).end + first * most_image_bytes(p.channels, p.resolution);
  others_.end = others_.begin;
}

std::int64_t StagedBatch::take(std::int64_t bytes) {
  return std::exchange(others_.end, others_.end + round_up(bytes, 4));
}

StagedAxis StagedBatch::put(const View::Axis& axis, const ResizeAxis& resize) {
  StagedAxis staged{.taps = static_cast<std::int32_t>(resize.taps),
                    .count = static_cast<std::int32_t>(axis.count),
                    .offset = static_cast<std::int32_t>(axis.offset)};
  if (resize.taps == 0) return staged;
  const std::int64_t weights = 4 * std::ssize(resize.weight);
  staged.table = take(4 * resize.count + weights);
  auto* const start = reinterpret_cast<std::int32_t*>(to_ + staged.table);
  for (std::int64_t i = 0; i < resize.count; ++i) {
    start[i] = resize.start[i] - static_cast<std::int32_t>(resize.first);
  }
  std::memcpy(start + resize.count, resize.weight.data(), weights);
  return staged;
}

std::int64_t StagedBatch::put(const SampleView& image, const Box& part) {
  const std::int64_t place = take(image.channels * part.height * part.width);
  std::uint8_t* to = to_ + place;
  for (std::int64_t row = 0; row < image.channels * part.height; ++row, to += part.width) {
    const std::int64_t y = row / part.height * image.height + part.top + row % part.height;
    std::copy_n(image.pixels.data() + y * image.width + part.left, part.width, to);
  }
  return place;
}

void StagedBatch::add(View view, std::int32_t label) {
  require_square(view, side_);
  if (std::ssize(view.erased()) > most_erased) {
    throw ShapeError(fmt::format("image: expected at most {} erased boxes for a device, got {}",
                                 most_erased, view.erased().size()));
  }
  check_shape(view.image());
  Source source = source_of(view);
  if (view.image().channels != channels_ || std::ssize(view.colors()) > most_color_steps ||
      source.bytes(channels_) > most_image_bytes(channels_, side_)) {
    view.settle(channels_);
    source = source_of(view);
  }
  StagedImage image{.pixels = put(view.image(), source.part),
                    .height = static_cast<std::int32_t>(source.part.height),
                    .width = static_cast<std::int32_t>(source.part.width),
                    .rows = put(view.rows(), source.rows),
                    .columns = put(view.columns(), source.columns),
                    .rows_first = source.rows.shrinks(),
                    .mirror = view.mirrored(),
                    .label = label,
                    .steps = static_cast<std::int32_t>(view.colors().size())};
  std::copy(view.colors().begin(), view.colors().end(), image.step);
  const auto cut = [this](std::int64_t x) {
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(x, 0, side_));
  };
  for (std::size_t i = 0; i < view.erased().size(); ++i) {
    const Box& b = view.erased()[i];
    image.erased[i] = {cut(b.top), cut(b.left), cut(b.top + b.height), cut(b.left + b.width)};
  }
  std::memcpy(to_ + next_++ * sizeof image, &image, sizeof image);
}

}  // namespace hac
