#pragma once
// JPEG by libjpeg-turbo, written.

#include <cstdint>
#include <string>

#include "data/image/sample.h"

namespace hac {

// Sequential, chroma halved both ways, optimised tables; quality is libjpeg's, 1 to 100. The same
// image gives the same bytes for a version of libjpeg. Throws ShapeError unless it is (3, height,
// width) of at most 65,500 a side.
std::string encode_jpeg(const Sample& image, int quality);

}  // namespace hac
