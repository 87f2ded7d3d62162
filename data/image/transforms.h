#pragma once
// From a decoded image to the square that a loader batches: small values, put in a row. Names and
// numbers are torchvision's. A transform changes a View and takes its random numbers from Draws, in
// the order of the pipeline; add one by adding it to Transform.

#include <array>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "data/image/decode.h"
#include "data/image/preprocessing.h"
#include "data/image/view.h"
#include "kernels/core/random.h"

namespace hac {

// The random numbers of one image, a function of (seed, epoch, position in the epoch) alone.
class Draws {
 public:
  Draws(std::uint64_t seed, std::int64_t epoch, std::int64_t position);
  std::uint32_t bits();
  std::uint32_t below(std::uint32_t n) {  // uniform in [0, n)
    return static_cast<std::uint32_t>((std::uint64_t{bits()} * n) >> 32);
  }
  double uniform(double low, double high) { return low + (high - low) * (bits() * 0x1p-32); }

 private:
  Philox philox_;
  std::uint64_t position_, taken_ = 0;
  std::array<std::uint32_t, 4> block_{};
};

// The shorter side to this size, the longer one to floor(size * longer / shorter).
struct Resize {
  std::int64_t size = 0;
  void operator()(View& view, Draws&) const;
};

// The square in the middle; odd margins are halved to the even number, as Python rounds.
struct CenterCrop {
  std::int64_t size = 0;
  void operator()(View& view, Draws&) const;
};

// Black on each side.
struct Pad {
  std::int64_t border = 0;
  void operator()(View& view, Draws&) const;
};

// A crop of the image's own size after padding: a shift by -padding to padding, down and across.
struct RandomCrop {
  std::int64_t padding = 4;
  void operator()(View& view, Draws& draws) const;
};

// Left and right, every second time.
struct RandomHorizontalFlip {
  void operator()(View& view, Draws& draws) const;
};

// A box of a random share of the area and a random aspect (width / height, uniform in its
// logarithm), resized to a square: at most 10 tries at a box that fits, then the largest in the
// middle whose aspect is within the range (Szegedy et al., CVPR 2015; torchvision).
struct RandomResizedCrop {
  struct Box {
    std::int64_t top = 0, left = 0, height = 0, width = 0;
  };
  std::int64_t size = 224;
  double min_area = 0.08, max_area = 1;
  double min_aspect = 3. / 4, max_aspect = 4. / 3;
  Box box(std::int64_t height, std::int64_t width, Draws& draws) const;
  void operator()(View& view, Draws& draws) const;
};

using Transform =
    std::variant<Resize, CenterCrop, Pad, RandomCrop, RandomHorizontalFlip, RandomResizedCrop>;
using Pipeline = std::vector<Transform>;

// What moves whole pixels of a square and keeps its size, at random.
bool is_shift(const Transform& transform);
// What comes before the first random transform, and the rest.
std::pair<Pipeline, Pipeline> split(const Pipeline& pipeline);

// What to ask of a decoder: the pipeline shrinks the image to this anyway.
DecodeOptions decode_options(const Pipeline& pipeline);

// Decodes and transforms. Throws IoError as decode() does, ShapeError as View does.
View apply(const Pipeline& pipeline, StoredImage image, Draws draws);

// Without anything random: what a Preprocessing does.
Pipeline evaluation(const Preprocessing& preprocessing);
// The same, then a crop after padding by 4 and a flip, as is usual for CIFAR.
Pipeline standard_augmentation(const Preprocessing& preprocessing);
// RandomResizedCrop and a flip, as is usual for ImageNet.
Pipeline random_resized_crop(const Preprocessing& preprocessing);

// Any image -> (channels, resolution, resolution) by evaluation(). Throws what apply() throws.
Sample preprocess(StoredImage image, const Preprocessing& preprocessing);

}  // namespace hac
