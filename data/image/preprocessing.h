#pragma once
// How an image becomes what a network reads: a plain value. A checkpoint has the one that it was
// trained with, and train, eval and infer use it alike: the same file gives the same pixels.
// evaluation() in data/image/transforms.h is what it does to an image.

#include <array>
#include <cstdint>
#include <string>

namespace hac {

// Per-channel statistics of pixel / 255 over the training set.
struct Normalization {
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{1, 1, 1};
  bool operator==(const Normalization&) const = default;
};

// Up to the network's own resolution.
struct Preprocessing {
  std::int64_t channels = 3;
  std::int64_t resolution = 224;  // height and width, border included; the network may resize again
  std::int64_t border = 0;        // black pixels on each side of it
  // The shorter side is resized to floor((resolution - 2 border) / crop_pct), then the centre is
  // cropped, as timm does; torchvision's 256 and 224 are 0.875.
  double crop_pct = 1;
  std::string interpolation = "bilinear";  // antialiased; there is no other
  Normalization normalization;
  bool operator==(const Preprocessing&) const = default;

  std::int64_t cropped_side() const { return resolution - 2 * border; }
  std::int64_t resized_side() const {
    return static_cast<std::int64_t>(static_cast<double>(cropped_side()) / crop_pct);
  }
};

// Throws ConfigError naming the field.
void validate(const Preprocessing& preprocessing);

}  // namespace hac
