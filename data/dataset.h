#pragma once
// A labelled set of images. get(i) is pure and thread-safe: loaders call it from their own threads.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hac {

// One decoded image: uint8, planar (channels, height, width).
struct Sample {
  std::int64_t channels = 0, height = 0, width = 0;
  std::vector<std::uint8_t> pixels;
  std::int32_t label = 0;
};

// Per-channel statistics of pixel / 255 over the training set.
struct Normalization {
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{1, 1, 1};
  bool operator==(const Normalization&) const = default;
};

// How an image becomes what a network reads, up to the network's own resolution.
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
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual std::int64_t size() const = 0;
  virtual Sample get(std::int64_t i) const = 0;  // throws IoError for a file that cannot be decoded
  virtual std::int32_t label(std::int64_t i) const = 0;  // without decoding
  // What image i is, without decoding: of a file its path below the set's folder and its size, of
  // an image in memory a hash of its bytes. Throws IoError for a file that is gone.
  virtual std::string identity(std::int64_t i) const { return std::to_string(label(i)); }
  virtual std::int64_t channels() const = 0;
  virtual std::int64_t resolution() const = 0;  // native height = width, after padding 28 to 32
  virtual const std::vector<std::string>& classes() const = 0;
  virtual Normalization normalization() const = 0;
  // All that was done to its images.
  virtual Preprocessing preprocessing() const {
    return {.channels = channels(), .resolution = resolution(), .normalization = normalization()};
  }
};

using DatasetPtr = std::shared_ptr<const Dataset>;

// What a resumed training compares: 16 hex digits over label and identity of all images, in order.
std::string fingerprint(const Dataset& set);

}  // namespace hac
