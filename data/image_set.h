#pragma once
// Sets that live in memory, and subsets of any set.

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace hac {

// Square uint8 images one after the other, planar; labels index `classes`.
struct ImageSet {
  std::int64_t channels = 0;
  std::int64_t resolution = 0;
  std::int64_t border = 0;  // of the images, black, on each side
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;
  std::vector<std::string> classes;
  Normalization normalization;
};

// Throws ShapeError when pixels, labels and classes do not fit together.
DatasetPtr in_memory(ImageSet set);

// The images `indices` of a set, in that order. Throws ShapeError for an index out of range.
DatasetPtr subset(DatasetPtr set, std::vector<std::int64_t> indices);

// The first floor(n / classes) images of each class, in file order; the set itself for n = 0.
// Throws ConfigError, naming `option`: n below the number of classes, or a class with fewer images.
DatasetPtr limit_per_class(DatasetPtr set, std::int64_t n, const std::string& option);

}  // namespace hac
