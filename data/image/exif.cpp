#include "data/image/exif.h"

#include <array>

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

// Of an integer type; 0 for the others.
int bytes_of(std::uint64_t type) {
  constexpr std::array<int, 10> bytes{0, 1, 0, 2, 4, 0, 1, 0, 2, 4};  // BYTE, SHORT, LONG, signed
  return type < bytes.size() ? bytes[type] : 0;
}

// Rows and columns change places, then each axis may be reversed.
struct Turn {
  bool transposed, from_bottom, from_right;
};
Turn turn_of(int orientation) {
  return {is_transposed(orientation),
          orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8,
          orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7};
}

}  // namespace

int exif_orientation(std::string_view exif) {
  if (exif.starts_with(exif_header)) exif.remove_prefix(exif_header.size());
  const bool little = exif.starts_with("II");
  if (!little && !exif.starts_with("MM")) return 1;
  const Tiff tiff{exif, little};
  if (tiff.integer(2, 2) != 42) return 1;
  const std::uint64_t directory = tiff.integer(4, 4);
  const std::uint64_t entries = tiff.integer(directory, 2);
  for (std::uint64_t e = 0; e < entries; ++e) {
    const std::uint64_t entry = directory + 2 + 12 * e;
    constexpr std::uint64_t orientation_tag = 0x0112;
    if (tiff.integer(entry, 2) != orientation_tag) continue;
    const std::uint64_t value = tiff.integer(entry + 8, bytes_of(tiff.integer(entry + 2, 2)));
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Window turned(const Window& part, double height, double width, int orientation) {
  const auto [transposed, from_bottom, from_right] = turn_of(orientation);
  Window out = part;
  if (transposed) {
    out = {part.left, part.top, part.width, part.height};
    std::swap(height, width);
  }
  if (from_bottom) out.top = height - out.top - out.height;
  if (from_right) out.left = width - out.left - out.width;
  return out;
}

int inverse_orientation(int orientation) {
  return orientation == 6 ? 8 : orientation == 8 ? 6 : orientation;
}

UprightImage::UprightImage(std::int64_t height, std::int64_t width, int orientation)
    : width_(width) {
  const auto [transposed, from_bottom, from_right] = turn_of(orientation);
  sample_ = {3, transposed ? width : height, transposed ? height : width, {}};
  sample_.pixels.resize(3 * height * width);
  const std::int64_t down = from_bottom ? -sample_.width : sample_.width;
  const std::int64_t across = from_right ? -1 : 1;
  first_ = (from_bottom ? (sample_.height - 1) * sample_.width : 0) +
           (from_right ? sample_.width - 1 : 0);
  row_step_ = transposed ? across : down;
  column_step_ = transposed ? down : across;
}

void UprightImage::put_row(std::int64_t row, const std::uint8_t* packed, int bytes) {
  const std::int64_t plane = sample_.height * sample_.width, width = width_;
  std::uint8_t* out = sample_.pixels.data() + first_ + row * row_step_;
  if (column_step_ == 1 && bytes == 4) {  // by far the most frequent, and vectorised
    std::uint8_t* __restrict r = out, * __restrict g = out + plane, * __restrict b = g + plane;
    for (std::int64_t x = 0; x < width; ++x) {
      r[x] = packed[4 * x];
      g[x] = packed[4 * x + 1];
      b[x] = packed[4 * x + 2];
    }
    return;
  }
  for (std::int64_t c = 0; c < 3; ++c, out += plane) {
    for (std::int64_t x = 0; x < width; ++x) out[x * column_step_] = packed[bytes * x + c];
  }
}

}  // namespace hac
