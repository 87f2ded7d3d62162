// libFuzzer: JPEG with EXIF, and PNG, from hostile bytes. Only IoError may come out, and what can
// be decoded also passes check_image(), and has parts with the same pixels.

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include "data/image/decode.h"
#include "data/image/resize.h"
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

constexpr std::int64_t max_pixels = std::int64_t{1} << 18;

// At full size, where it has the pixels of the whole image, and scaled.
void decode_part_of(std::string_view bytes, std::int64_t side) {
  hac::Box box;
  const auto choose = [&](std::int64_t h, std::int64_t w) {
    if (h > max_pixels / w) throw hac::IoError("too large to fuzz");
    return box = {h / 3, w / 5, (h + 1) / 2, (w + 1) / 2};
  };
  const hac::DecodedPart part =
      hac::decode_part(hac::EncodedImage{std::string(bytes), "fuzz"}, choose, side);
  const hac::Sample found = hac::View(part.image, part.window, box.height, box.width).render(3);
  if (side < box.height) return;
  try {
    const hac::SampleView whole = hac::view_of(hac::decode_image(bytes, "fuzz"));
    if (hac::View(whole, hac::window_of(box), box.height, box.width).render(3).pixels !=
        found.pixels) {
      __builtin_trap();
    }
  } catch (const hac::IoError&) {  // of what the part did not read
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t shorter_side : {0, 20}) {
    try {
      const hac::Sample sample = hac::decode_image(
          bytes, "fuzz", {.shorter_side = shorter_side, .max_pixels = max_pixels});
      hac::preprocess(sample, {.resolution = 20});
      try {
        hac::check_image(bytes, "fuzz");
      } catch (const hac::IoError&) {
        __builtin_trap();
      }
    } catch (const hac::IoError&) {
    }
    try {
      decode_part_of(bytes, shorter_side == 0 ? 4096 : 8);
    } catch (const hac::IoError&) {
    }
  }
  return 0;
}
