#pragma once
// Sets that live in memory.

#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace hac {

// Square uint8 images one after the other, planar; labels index `classes`.
struct ImageSet {
  std::int64_t channels = 0;
  std::int64_t resolution = 0;  // height and width as stored
  std::int64_t border = 0;      // black, added on each side of an image
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  std::vector<std::string> classes;
  Normalization normalization;
};

// Throws ShapeError when pixels, labels and classes do not fit together, ConfigError for a
// preprocessing that no checkpoint could keep, as with a deviation of 0.
DatasetPtr in_memory(ImageSet set);

}  // namespace hac
