#pragma once
// What decoding gives and transforms work on.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace hac {

// One decoded image: uint8, planar (channels, height, width).
struct Sample {
  std::int64_t channels = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

// The same, of bytes that something else owns, such as a mapped file.
struct SampleView {
  std::int64_t channels = 0, height = 0, width = 0;
  std::span<const std::uint8_t> pixels;
  std::shared_ptr<const void> owner = nullptr;  // keeps them alive
};
// Owns the sample. Throws ShapeError unless it has pixels, and as many bytes as its shape says.
SampleView view_of(Sample sample);
// Throws that error.
void check_shape(const SampleView& image);

struct Box {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Box&) const = default;
};
// The same, its borders anywhere between pixels or within them.
struct Window {
  double top = 0, left = 0, height = 0, width = 0;
};
inline Window window_of(const Box& box) {
  return {static_cast<double>(box.top), static_cast<double>(box.left),
          static_cast<double>(box.height), static_cast<double>(box.width)};
}

}  // namespace hac
