#include "data/exif.h"

#include <cstdint>

namespace hac {
namespace {

// Reads integers of a TIFF block; anything outside the block reads as 0.
struct Tiff {
  std::string_view bytes;
  bool little = false;

  std::uint64_t integer(std::uint64_t at, int count) const {
    if (at > bytes.size() || bytes.size() - at < static_cast<std::size_t>(count)) return 0;
    std::uint64_t value = 0;
    for (int i = 0; i < count; ++i) {
      const auto byte = static_cast<std::uint8_t>(bytes[at + (little ? count - 1 - i : i)]);
      value = value << 8 | byte;
    }
    return value;
  }
};

int tiff_orientation(std::string_view bytes) {
  Tiff tiff{bytes};
  if (bytes.starts_with("II")) {
    tiff.little = true;
  } else if (!bytes.starts_with("MM")) {
    return 1;
  }
  if (tiff.integer(2, 2) != 42) return 1;
  const std::uint64_t directory = tiff.integer(4, 4);
  const std::uint64_t entries = tiff.integer(directory, 2);
  for (std::uint64_t e = 0; e < entries; ++e) {
    const std::uint64_t entry = directory + 2 + 12 * e;
    constexpr std::uint64_t orientation_tag = 0x0112, short_type = 3;
    if (tiff.integer(entry, 2) != orientation_tag || tiff.integer(entry + 2, 2) != short_type)
      continue;
    const std::uint64_t value = tiff.integer(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

int exif_orientation(std::string_view jpeg) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(jpeg[i]); };
  constexpr std::uint8_t app1 = 0xE1, start_of_scan = 0xDA;
  std::size_t at = 2;  // after the start-of-image marker
  while (at + 4 <= jpeg.size() && byte(at) == 0xFF) {
    const std::uint8_t marker = byte(at + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    const std::size_t length = static_cast<std::size_t>(byte(at + 2)) << 8 | byte(at + 3);
    if (marker == start_of_scan || length < 2 || jpeg.size() - at - 2 < length) return 1;
    const std::string_view segment = jpeg.substr(at + 4, length - 2);
    constexpr std::string_view exif("Exif\0\0", 6);
    if (marker == app1 && segment.starts_with(exif)) return tiff_orientation(segment.substr(6));
    at += 2 + length;
  }
  return 1;
}

Sample upright(Sample image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const std::int64_t h = image.height, w = image.width;
  const bool swap = orientation >= 5;
  Sample out{image.channels, swap ? w : h, swap ? h : w, {}, image.label};
  out.pixels.resize(image.pixels.size());
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  std::uint8_t* to = out.pixels.data();
  for (std::int64_t c = 0; c < image.channels; ++c) {
    const std::uint8_t* plane = image.pixels.data() + c * h * w;
    for (std::int64_t y = 0; y < out.height; ++y) {
      for (std::int64_t x = 0; x < out.width; ++x) {
        const std::int64_t row = swap ? x : y, column = swap ? y : x;
        *to++ =
            plane[(from_bottom ? h - 1 - row : row) * w + (from_right ? w - 1 - column : column)];
      }
    }
  }
  return out;
}

}  // namespace hac
