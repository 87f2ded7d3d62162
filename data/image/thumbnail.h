#pragma once
// A picture of an image, small enough for a page to hold many.

#include <cstdint>
#include <string>

#include "data/image/decode.h"

namespace hac {

// As a data URI (RFC 2397): whole and upright, its longer side at most `side`. A PNG of its very
// pixels where it is that small, else a JPEG. Throws what decode() throws.
std::string thumbnail(StoredImage image, std::int64_t side);

}  // namespace hac
