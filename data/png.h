#pragma once
// PNG by stb_image, which only png.cpp sees.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hac {

struct Png {
  std::int64_t height = 0, width = 0;
  std::vector<std::uint8_t> rgb;  // packed; grey repeated, alpha dropped, 16 bits cut to 8
};

// Throws IoError, naming `where`: corrupt, cut, or more than max_pixels.
Png decode_png(std::string_view bytes, const std::string& where, std::int64_t max_pixels);

// Throws IoError unless 1 <= width * height <= max_pixels.
void check_pixels(std::int64_t width, std::int64_t height, std::int64_t max_pixels,
                  const std::string& where);

}  // namespace hac
