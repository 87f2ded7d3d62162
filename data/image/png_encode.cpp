#include "data/image/png_encode.h"

#include <fmt/format.h>
#include <png.h>

#include <vector>

#include "kernels/core/error.h"

namespace hac {

std::string encode_png(const Sample& image) {
  check_shape({image.channels, image.height, image.width, image.pixels});
  if (image.channels != 1 && image.channels != 3) {
    throw ShapeError(fmt::format("encode PNG: expected (1 or 3, height, width), got ({}, {}, {})",
                                 image.channels, image.height, image.width));
  }
  const std::int64_t plane = image.height * image.width;
  std::vector<std::uint8_t> packed(image.pixels.size());
  for (std::int64_t i = 0; i < plane; ++i) {
    for (std::int64_t c = 0; c < image.channels; ++c) {
      packed[i * image.channels + c] = image.pixels[c * plane + i];
    }
  }
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png, bytes.data(), &size, 0, packed.data(), 0, nullptr)) {
    throw ShapeError(fmt::format("encode PNG: {} of ({}, {}, {})", png.message, image.channels,
                                 image.height, image.width));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace hac
