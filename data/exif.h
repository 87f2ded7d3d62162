#pragma once
// The orientation tag of a JPEG's EXIF segment.

#include <string_view>

#include "data/dataset.h"

namespace hac {

// 1 to 8 (EXIF 2.3, tag 0x0112); 1 when absent or malformed: a broken tag is no reason to lose the
// image.
int exif_orientation(std::string_view jpeg);

// Turns the stored image upright: 2 mirror, 3 half turn, 4 flip, 5 transpose, 6 quarter turn right,
// 7 transverse, 8 quarter turn left.
Sample upright(Sample image, int orientation);

}  // namespace hac
