#pragma once
// Image files -> Sample (3, height, width), upright. JPEG by libjpeg-turbo, PNG by stb_image; the
// kind is told by the first bytes, not by the name. Grey, CMYK and alpha become RGB.

#include <cstdint>
#include <string>
#include <string_view>

#include "data/dataset.h"

namespace hac {

struct DecodeOptions {
  // A JPEG may be decoded at n/8 of its size as long as its shorter side stays at least this; 0 =
  // at full size. Much cheaper than decoding all of it when it is shrunk afterwards anyway.
  std::int64_t shorter_side = 0;
  // Bounds the memory that a hostile file can ask for.
  std::int64_t max_pixels = std::int64_t{1} << 26;
};

// Throws IoError, naming `where`: neither kind, corrupt, cut, or more than max_pixels.
Sample decode_image(std::string_view bytes, const std::string& where,
                    const DecodeOptions& options = {});
Sample read_image(const std::string& path, const DecodeOptions& options = {});

}  // namespace hac
