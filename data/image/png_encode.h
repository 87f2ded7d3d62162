#pragma once
// PNG by libpng, written.

#include <string>

#include "data/image/sample.h"

namespace hac {

// Of 8 bits, grey or RGB. Throws ShapeError unless it is (1 or 3, height, width).
std::string encode_png(const Sample& image);

}  // namespace hac
