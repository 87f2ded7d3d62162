#include "data/image/jpeg_encode.h"

// jpeglib.h needs size_t and FILE.
#include <fmt/format.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>
// clang-format off
#include <jpeglib.h>
// clang-format on

#include "kernels/core/error.h"

namespace hac {
namespace {

struct Encoder {
  struct Error {
    jpeg_error_mgr base;
    std::jmp_buf jump;
  };
  jpeg_compress_struct codec{};
  Error error{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;

  Encoder() {
    codec.err = jpeg_std_error(&error.base);
    error.base.error_exit = [](j_common_ptr c) {
      std::longjmp(reinterpret_cast<Error*>(c->err)->jump, 1);
    };
  }
  ~Encoder() {
    jpeg_destroy_compress(&codec);
    std::free(bytes);
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
};

}  // namespace

std::string encode_jpeg(const Sample& image, int quality) {
  check_shape({image.channels, image.height, image.width, image.pixels});
  const std::int64_t plane = image.height * image.width;
  std::vector<std::uint8_t> row(3 * image.width);
  Encoder encoder;
  jpeg_compress_struct& codec = encoder.codec;
  // Nothing between here and the end may need a destructor.
  if (image.channels != 3 || setjmp(encoder.error.jump)) {
    throw ShapeError(
        fmt::format("encode JPEG: expected (3, 1 to 65500, 1 to 65500), got ({}, {}, {})",
                    image.channels, image.height, image.width));
  }
  jpeg_create_compress(&codec);
  jpeg_mem_dest(&codec, &encoder.bytes, &encoder.size);
  codec.image_height = static_cast<JDIMENSION>(image.height);
  codec.image_width = static_cast<JDIMENSION>(image.width);
  codec.in_color_space = JCS_RGB;
  codec.input_components = 3;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  codec.optimize_coding = TRUE;
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    const std::uint8_t* in = image.pixels.data() + codec.next_scanline * image.width;
    for (std::int64_t x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c) row[3 * x + c] = in[c * plane + x];
    }
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&codec, rows, 1);
  }
  jpeg_finish_compress(&codec);
  return {reinterpret_cast<const char*>(encoder.bytes), encoder.size};
}

}  // namespace hac
