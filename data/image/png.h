#pragma once
// PNG by libpng, which only png.cpp sees.

#include "data/image/decode.h"

namespace hac {

// Grey is repeated, alpha dropped, 16 bits cut to 8. Throws IoError, naming `where`: any wrong
// checksum, corrupt, cut, or more than max_pixels.
Sample decode_png(std::string_view bytes, const std::string& where, std::int64_t max_pixels);

// All chunks with their checksums, without decoding. Throws IoError as decode_png does.
void check_png(std::string_view bytes, const std::string& where, std::int64_t max_pixels);

}  // namespace hac
