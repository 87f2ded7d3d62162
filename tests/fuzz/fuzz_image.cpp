// libFuzzer: JPEG with EXIF, and PNG, from hostile bytes. Only IoError may come out, and what can
// be decoded also passes check_image().

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include "data/image/decode.h"
#include "data/image/transforms.h"
#include "kernels/core/error.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max);

// Repairs the checksums of a PNG's chunks, or nothing but the first would ever be reached.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max, unsigned) {
  size = LLVMFuzzerMutate(data, size, max);
  if (size < 8 || std::memcmp(data, "\x89PNG", 4) != 0) return size;
  const auto integer = [&](std::size_t at) {
    return std::size_t{data[at]} << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
  };
  for (std::size_t at = 8; size - at >= 12 && integer(at) <= size - at - 12;) {
    const std::size_t length = integer(at) + 4;
    const auto crc = crc32(0, data + at + 4, static_cast<uInt>(length));
    at += 4 + length;
    for (int i = 0; i < 4; ++i) data[at++] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t shorter_side : {0, 20}) {
    try {
      const hac::Sample sample = hac::decode_image(
          bytes, "fuzz", {.shorter_side = shorter_side, .max_pixels = std::int64_t{1} << 18});
      hac::preprocess(sample, {.resolution = 20});
      try {
        hac::check_image(bytes, "fuzz");
      } catch (const hac::IoError&) {
        __builtin_trap();
      }
    } catch (const hac::IoError&) {
    }
  }
  return 0;
}
