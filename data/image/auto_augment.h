#pragma once
// AutoAugment (Cubuk et al., CVPR 2019) with torchvision's policies, operations and magnitudes.

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/image/draws.h"
#include "data/image/view.h"
#include "engine/io/fields.h"

namespace hac {

enum class Operation : std::uint8_t {
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  color,
  contrast,
  sharpness,
  posterize,
  solarize,
  autocontrast,
  equalize,
  invert
};
template <>
inline constexpr std::string_view enum_names<Operation>[] = {
    "ShearX",   "ShearY",    "TranslateX", "TranslateY", "Rotate",       "Brightness", "Color",
    "Contrast", "Sharpness", "Posterize",  "Solarize",   "AutoContrast", "Equalize",   "Invert"};

// What a level from 0 to 9 means to it, without a sign. The sides of the image are what a
// translation is a share of.
float magnitude(Operation operation, int level, std::int64_t height, std::int64_t width);
// torchvision's _apply_op() on a uint8 tensor, by the nearest pixel, black outside. The magnitude
// has a sign where the operation has one.
void apply(Operation operation, double magnitude, View& view);

enum class AutoAugmentPolicy : std::uint8_t { imagenet, cifar10 };
template <>
inline constexpr std::string_view enum_names<AutoAugmentPolicy>[] = {"imagenet", "cifar10"};

// One of the policy's 25 pairs; each operation of it with its own probability, and with either sign
// where it has one.
struct AutoAugment {
  AutoAugmentPolicy policy = AutoAugmentPolicy::imagenet;

  struct Step {
    Operation operation;
    double probability;
    int level;  // 0 where there is none
  };
  struct Pair {
    Step first, second;
  };
  static constexpr int pairs = 25;
  const Pair& pair(std::uint32_t i) const;

  struct Choice {
    Operation operation;
    double magnitude;
  };
  std::vector<Choice> draw(std::int64_t height, std::int64_t width, Draws& draws) const;
  void operator()(View& view, Draws& draws) const;
  bool operator==(const AutoAugment&) const = default;
  Fields fields() { return Fields().add("policy", policy); }
};

}  // namespace hac
