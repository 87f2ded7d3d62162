// libFuzzer: JPEG with EXIF, and PNG, from hostile bytes. Only IoError may come out, and what can
// be decoded also passes the check of its structure.

#include <cstdint>
#include <string_view>

#include "data/decode.h"
#include "data/transform.h"
#include "kernels/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::int64_t shorter_side : {0, 20}) {
    try {
      const hac::Sample sample = hac::decode_image(
          bytes, "fuzz", {.shorter_side = shorter_side, .max_pixels = std::int64_t{1} << 18});
      hac::fit(sample, 3, 20);
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
