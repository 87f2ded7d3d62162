#include "data/image/auto_augment.h"

#include <array>

#include "data/image/affine.h"
#include "data/image/color.h"

namespace hac {
namespace {

using Op = Operation;
using Policy = std::array<AutoAugment::Pair, AutoAugment::pairs>;

// torchvision/transforms/autoaugment.py, AutoAugment._get_policies().
constexpr Policy imagenet{{
    {{Op::posterize, 0.4, 8}, {Op::rotate, 0.6, 9}},
    {{Op::solarize, 0.6, 5}, {Op::autocontrast, 0.6, 0}},
    {{Op::equalize, 0.8, 0}, {Op::equalize, 0.6, 0}},
    {{Op::posterize, 0.6, 7}, {Op::posterize, 0.6, 6}},
    {{Op::equalize, 0.4, 0}, {Op::solarize, 0.2, 4}},
    {{Op::equalize, 0.4, 0}, {Op::rotate, 0.8, 8}},
    {{Op::solarize, 0.6, 3}, {Op::equalize, 0.6, 0}},
    {{Op::posterize, 0.8, 5}, {Op::equalize, 1.0, 0}},
    {{Op::rotate, 0.2, 3}, {Op::solarize, 0.6, 8}},
    {{Op::equalize, 0.6, 0}, {Op::posterize, 0.4, 6}},
    {{Op::rotate, 0.8, 8}, {Op::color, 0.4, 0}},
    {{Op::rotate, 0.4, 9}, {Op::equalize, 0.6, 0}},
    {{Op::equalize, 0.0, 0}, {Op::equalize, 0.8, 0}},
    {{Op::invert, 0.6, 0}, {Op::equalize, 1.0, 0}},
    {{Op::color, 0.6, 4}, {Op::contrast, 1.0, 8}},
    {{Op::rotate, 0.8, 8}, {Op::color, 1.0, 2}},
    {{Op::color, 0.8, 8}, {Op::solarize, 0.8, 7}},
    {{Op::sharpness, 0.4, 7}, {Op::invert, 0.6, 0}},
    {{Op::shear_x, 0.6, 5}, {Op::equalize, 1.0, 0}},
    {{Op::color, 0.4, 0}, {Op::equalize, 0.6, 0}},
    {{Op::equalize, 0.4, 0}, {Op::solarize, 0.2, 4}},
    {{Op::solarize, 0.6, 5}, {Op::autocontrast, 0.6, 0}},
    {{Op::invert, 0.6, 0}, {Op::equalize, 1.0, 0}},
    {{Op::color, 0.6, 4}, {Op::contrast, 1.0, 8}},
    {{Op::equalize, 0.8, 0}, {Op::equalize, 0.6, 0}},
}};
constexpr Policy cifar10{{
    {{Op::invert, 0.1, 0}, {Op::contrast, 0.2, 6}},
    {{Op::rotate, 0.7, 2}, {Op::translate_x, 0.3, 9}},
    {{Op::sharpness, 0.8, 1}, {Op::sharpness, 0.9, 3}},
    {{Op::shear_y, 0.5, 8}, {Op::translate_y, 0.7, 9}},
    {{Op::autocontrast, 0.5, 0}, {Op::equalize, 0.9, 0}},
    {{Op::shear_y, 0.2, 7}, {Op::posterize, 0.3, 7}},
    {{Op::color, 0.4, 3}, {Op::brightness, 0.6, 7}},
    {{Op::sharpness, 0.3, 9}, {Op::brightness, 0.7, 9}},
    {{Op::equalize, 0.6, 0}, {Op::equalize, 0.5, 0}},
    {{Op::contrast, 0.6, 7}, {Op::sharpness, 0.6, 5}},
    {{Op::color, 0.7, 7}, {Op::translate_x, 0.5, 8}},
    {{Op::equalize, 0.3, 0}, {Op::autocontrast, 0.4, 0}},
    {{Op::translate_y, 0.4, 3}, {Op::sharpness, 0.2, 6}},
    {{Op::brightness, 0.9, 6}, {Op::color, 0.2, 8}},
    {{Op::solarize, 0.5, 2}, {Op::invert, 0.0, 0}},
    {{Op::equalize, 0.2, 0}, {Op::autocontrast, 0.6, 0}},
    {{Op::equalize, 0.2, 0}, {Op::equalize, 0.6, 0}},
    {{Op::color, 0.9, 9}, {Op::equalize, 0.6, 0}},
    {{Op::autocontrast, 0.8, 0}, {Op::solarize, 0.2, 8}},
    {{Op::brightness, 0.1, 3}, {Op::color, 0.7, 0}},
    {{Op::solarize, 0.4, 5}, {Op::autocontrast, 0.9, 0}},
    {{Op::translate_y, 0.9, 9}, {Op::translate_y, 0.7, 9}},
    {{Op::autocontrast, 0.9, 0}, {Op::solarize, 0.8, 3}},
    {{Op::equalize, 0.8, 0}, {Op::invert, 0.1, 0}},
    {{Op::translate_y, 0.7, 9}, {Op::autocontrast, 0.9, 0}},
}};

// torch.linspace(low, high, 10): counted from the nearer end, rounded once.
float between(double low, double high, int level) {
  const auto a = static_cast<float>(low), b = static_cast<float>(high), step = (b - a) / 9;
  return static_cast<float>(level < 5 ? a + static_cast<double>(step) * level
                                      : b - static_cast<double>(step) * (9 - level));
}

float translation(std::int64_t side, int level) {
  return between(0, 150.0 / 331.0 * static_cast<double>(side), level);
}

bool has_sign(Operation o) { return o <= Op::sharpness; }

}  // namespace

float magnitude(Operation operation, int level, std::int64_t height, std::int64_t width) {
  constexpr int bits[] = {8, 8, 7, 7, 6, 6, 5, 5, 4, 4};  // 8 - round(4 level / 9)
  switch (operation) {
    case Op::shear_x:
    case Op::shear_y:
      return between(0, 0.3, level);
    case Op::translate_x:
      return translation(width, level);
    case Op::translate_y:
      return translation(height, level);
    case Op::rotate:
      return between(0, 30, level);
    case Op::posterize:
      return static_cast<float>(bits[level]);
    case Op::solarize:
      return between(255, 0, level);
    case Op::autocontrast:
    case Op::equalize:
    case Op::invert:
      return 0;
    default:
      return between(0, 0.9, level);
  }
}

void apply(Operation operation, double m, View& view) {
  const auto pixels = static_cast<std::int64_t>(m);
  switch (operation) {
    case Op::shear_x:
      return shear_x(view.pixels(), m);
    case Op::shear_y:
      return shear_y(view.pixels(), m);
    case Op::translate_x:
      return view.window(0, -pixels, view.height(), view.width());
    case Op::translate_y:
      return view.window(-pixels, 0, view.height(), view.width());
    case Op::rotate:
      return rotate(view.pixels(), m);
    case Op::brightness:
      return view.adjust(Adjustment::brightness, 1.0 + m);
    case Op::color:
      return view.adjust(Adjustment::saturation, 1.0 + m);
    case Op::contrast:
      return view.adjust(Adjustment::contrast, 1.0 + m);
    case Op::sharpness:
      return adjust_sharpness(view.pixels(), 1.0 + m);
    case Op::posterize:
      return posterize(view.pixels(), static_cast<int>(m));
    case Op::solarize:
      return solarize(view.pixels(), m);
    case Op::autocontrast:
      return autocontrast(view.pixels());
    case Op::equalize:
      return equalize(view.pixels());
    case Op::invert:
      return invert(view.pixels());
  }
}

const AutoAugment::Pair& AutoAugment::pair(std::uint32_t i) const {
  return (policy == AutoAugmentPolicy::imagenet ? imagenet : cifar10).at(i);
}

std::vector<AutoAugment::Choice> AutoAugment::draw(std::int64_t height, std::int64_t width,
                                                   Draws& draws) const {
  const Pair& chosen = pair(draws.below(pairs));
  const double chance[] = {draws.uniform(0, 1), draws.uniform(0, 1)};
  const bool negative[] = {draws.below(2) == 0, draws.below(2) == 0};
  std::vector<Choice> choices;
  for (const int i : {0, 1}) {
    const Step& step = i == 0 ? chosen.first : chosen.second;
    if (chance[i] > step.probability) continue;
    const double m = magnitude(step.operation, step.level, height, width);
    choices.push_back({step.operation, negative[i] && has_sign(step.operation) ? -m : m});
  }
  return choices;
}

void AutoAugment::operator()(View& view, Draws& draws) const {
  for (const Choice& c : draw(view.height(), view.width(), draws)) {
    apply(c.operation, c.magnitude, view);
  }
}

}  // namespace hac
