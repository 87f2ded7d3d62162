#pragma once
// From a decoded image to the square that a loader batches: small values, put in a row. Names and
// numbers are torchvision's. A transform changes a View and takes its random numbers from Draws, in
// the order of the pipeline; add one by adding it to Transform, and where it is a setting of a
// training, to TrainTransforms.

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "data/image/auto_augment.h"
#include "data/image/decode.h"
#include "data/image/draws.h"
#include "data/image/preprocessing.h"
#include "data/image/view.h"
#include "engine/io/fields.h"

namespace hac {

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

// From the least to the most of something that is drawn.
using Range = std::array<double, 2>;

// A box of a random share of the area (`scale`) and a random aspect (`ratio` = width / height,
// uniform in its logarithm), resized to a square: at most 10 tries at a box that fits, then the
// largest in the middle whose aspect is within the range (Szegedy et al., CVPR 2015).
struct RandomResizedCrop {
  std::int64_t size = 224;
  Range scale{0.08, 1};
  Range ratio{3. / 4, 4. / 3};
  Box box(std::int64_t height, std::int64_t width, Draws& draws) const;
  void operator()(View& view, Draws& draws) const;
  // The same of an image that is not decoded yet, of which it needs no more than the box.
  View operator()(StoredImage image, Draws& draws) const;
  bool operator==(const RandomResizedCrop&) const = default;

  Fields fields() {
    return Fields()
        .add("scale", scale, {.low = 0, .high = 1, .above = true})
        .add("ratio", ratio, {.low = 0.01, .high = 100});
  }
};

// Each factor uniform in 1 -+ its setting (but at least 0), the hue turned by -hue to hue of a
// circle; in random order. 0 = off.
struct ColorJitter {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  void operator()(View& view, Draws& draws) const;
  bool operator==(const ColorJitter&) const = default;

  Fields fields() {
    return Fields()
        .add("brightness", brightness, {0, 100})
        .add("contrast", contrast, {0, 100})
        .add("saturation", saturation, {0, 100})
        .add("hue", hue, {0, 0.5});
  }
};

// With probability p a box of a random share of the area and a random aspect (height / width),
// smaller than the image both ways, erased: at most 10 tries, then none (Zhong et al., AAAI 2020).
struct RandomErasing {
  double p = 0.5;
  Range scale{0.02, 0.33};
  Range ratio{0.3, 3.3};
  std::optional<Box> box(std::int64_t height, std::int64_t width, Draws& draws) const;
  void operator()(View& view, Draws& draws) const;
  bool operator==(const RandomErasing&) const = default;

  Fields fields() {
    return Fields()
        .add("p", p, {0, 1})
        .add("scale", scale, {0, 1})
        .add("ratio", ratio, {.low = 0.01, .high = 100});
  }
};

// A square whose centre is any pixel, erased as far as it lies in the image (DeVries and Taylor,
// 2017).
struct Cutout {
  std::int64_t side = 16;
  void operator()(View& view, Draws& draws) const;
  bool operator==(const Cutout&) const = default;

  Fields fields() { return Fields().add("side", side, {1, 65536}); }
};

using Transform = std::variant<Resize, CenterCrop, Pad, RandomCrop, RandomHorizontalFlip,
                               RandomResizedCrop, AutoAugment, ColorJitter, RandomErasing, Cutout>;
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

// What a training does to an image besides, in this order. `random_resized_crop` takes the place of
// the preprocessing's resize and crop, and of the crop after padding.
struct TrainTransforms {
  std::optional<RandomResizedCrop> random_resized_crop;
  std::optional<AutoAugment> auto_augment;
  std::optional<ColorJitter> color_jitter;
  std::optional<RandomErasing> random_erasing;
  std::optional<Cutout> cutout;
  bool operator==(const TrainTransforms&) const = default;

  Fields fields() {
    return Fields()
        .add("random_resized_crop", random_resized_crop)
        .add("auto_augment", auto_augment)
        .add("color_jitter", color_jitter)
        .add("random_erasing", random_erasing)
        .add("cutout", cutout);
  }
};
// Throws ConfigError for a range whose end is before its begin: "training 'transforms.KEY': ...".
void validate(const TrainTransforms& transforms);
// standard: with the flip, and the crop after padding where there is no other.
Pipeline training(const TrainTransforms& transforms, bool standard, const Preprocessing& p);

// Any image -> (channels, resolution, resolution) by evaluation(). Throws what apply() throws.
Sample preprocess(StoredImage image, const Preprocessing& preprocessing);

}  // namespace hac
