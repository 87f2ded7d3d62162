#pragma once
// Image files -> Sample (3, height, width), upright by their EXIF. JPEG by libjpeg-turbo, PNG by
// libpng; the kind is told by the first bytes, not by the name. Grey, CMYK and alpha become RGB.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "data/image/sample.h"

namespace hac {

// What Pillow, too, takes for an attack if larger.
constexpr std::int64_t default_max_pixels = 180'000'000;

struct DecodeOptions {
  // A JPEG may be decoded at n/8 of its size as long as its shorter side stays at least this; 0 =
  // at full size. Much cheaper than decoding all of it when it is shrunk afterwards anyway.
  std::int64_t shorter_side = 0;
  // Bounds the memory that a hostile file can ask for.
  std::int64_t max_pixels = default_max_pixels;
};

// What a data set has of an image: pixels, its own or another's, or the bytes of a file.
struct EncodedImage {
  std::string bytes;
  std::string path;       // for errors, and
  std::string hint = "";  // what may help against them
};
using StoredImage = std::variant<Sample, EncodedImage, SampleView>;

// Pixels as they are, files as decode_image() has them.
Sample decode(StoredImage image, const DecodeOptions& options = {});

// A part of an image: `window` of `image`, which is what had to be decoded for it.
struct DecodedPart {
  SampleView image;
  Window window;
};
// Of an image of this size, upright.
using ChooseBox = std::function<Box(std::int64_t height, std::int64_t width)>;
// The box that `choose` takes of an image, which is resized to (side, side) afterwards. Of a JPEG
// no row below it is decoded, no more columns than its blocks have, and at a half, a quarter or an
// eighth of full size as long as both sides of the box stay at least `side`. At full size its
// pixels are those of decode(). Throws as decode() does, for damage in what it reads: of a
// sequential JPEG, down to the box's last row.
DecodedPart decode_part(StoredImage image, const ChooseBox& choose, std::int64_t side);

// Throws IoError, naming `where`: neither kind, corrupt, cut, or more than max_pixels.
Sample decode_image(std::string_view bytes, const std::string& where,
                    const DecodeOptions& options = {});
EncodedImage read_image_file(const std::string& path);  // throws IoError: missing, or above 1 GiB
Sample read_image(const std::string& path, const DecodeOptions& options = {});

// Throws IoError where decode_image does, as fast as that can be told: every checksum of a PNG is
// compared, and a JPEG decoded at an eighth of its size, since damage of its rows shows only then.
void check_image(std::string_view bytes, const std::string& where,
                 std::int64_t max_pixels = default_max_pixels);
void check_image_file(const std::string& path);

// Throws IoError unless 1 <= width * height <= max_pixels.
void check_pixels(std::int64_t width, std::int64_t height, std::int64_t max_pixels,
                  const std::string& where);

}  // namespace hac
