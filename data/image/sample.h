#pragma once
// What decoding gives and transforms work on.

#include <cstdint>
#include <vector>

namespace hac {

// One decoded image: uint8, planar (channels, height, width).
struct Sample {
  std::int64_t channels = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
};

}  // namespace hac
