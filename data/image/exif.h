#pragma once
// The orientation tag of EXIF, and images turned by it.

#include <cstdint>
#include <string_view>
#include <utility>

#include "data/image/sample.h"

namespace hac {

// The start of a JPEG's APP1 segment with EXIF; a PNG's eXIf chunk begins right with TIFF.
constexpr std::string_view exif_header("Exif\0\0", 6);

// 1 to 8 (EXIF 2.3, tag 0x0112 of the first directory, of any integer type), from a TIFF block with
// or without exif_header; 1 when absent or malformed: a broken tag is no reason to lose the image.
int exif_orientation(std::string_view exif);

// Whether it makes rows of columns.
constexpr bool is_transposed(int orientation) { return orientation >= 5 && orientation <= 8; }

// Where a part of a stored image (height, width) lies on the upright one.
Window turned(const Window& part, double height, double width, int orientation);
// What turns the upright image back.
int inverse_orientation(int orientation);

// Collects a stored image's rows, each where it belongs on the upright image: 2 mirror, 3 half
// turn, 4 flip, 5 transpose, 6 quarter turn right, 7 transverse, 8 quarter turn left; else as
// stored.
class UprightImage {
 public:
  UprightImage(std::int64_t height, std::int64_t width, int orientation);  // as stored
  // Packed RGB, or RGBX of four bytes a pixel.
  void put_row(std::int64_t row, const std::uint8_t* packed, int bytes);
  Sample take() { return std::move(sample_); }

 private:
  Sample sample_;
  std::int64_t width_;
  std::int64_t first_, row_step_, column_step_;  // in a plane
};

}  // namespace hac
