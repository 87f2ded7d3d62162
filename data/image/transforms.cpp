#include "data/image/transforms.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/core/error.h"

namespace hac {
namespace {

// A share of the area and an aspect as two sides: the root of area * aspect, and of area / aspect.
// Python rounds halves to even.
std::pair<std::int64_t, std::int64_t> draw_sides(double area, const Range& scale,
                                                 const Range& ratio, Draws& draws) {
  const double target = area * draws.uniform(scale[0], scale[1]);
  const double aspect = std::exp(draws.uniform(std::log(ratio[0]), std::log(ratio[1])));
  const auto rounded = [](double x) {
    return static_cast<std::int64_t>(std::nearbyint(std::sqrt(x)));
  };
  return {rounded(target * aspect), rounded(target / aspect)};
}

Box draw_place(std::int64_t height, std::int64_t width, std::int64_t h, std::int64_t w,
               Draws& draws) {
  const std::int64_t top = draws.below(static_cast<std::uint32_t>(height - h + 1));
  return {top, draws.below(static_cast<std::uint32_t>(width - w + 1)), h, w};
}

}  // namespace

void Resize::operator()(View& view, Draws&) const {
  const std::int64_t h = view.height(), w = view.width(), shorter = std::min(h, w);
  view.resize(size * h / shorter, size * w / shorter);
}

void CenterCrop::operator()(View& view, Draws&) const {
  const auto margin = [this](std::int64_t side) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side - size) / 2));
  };
  view.window(margin(view.height()), margin(view.width()), size, size);
}

void Pad::operator()(View& view, Draws&) const {
  view.window(-border, -border, view.height() + 2 * border, view.width() + 2 * border);
}

void RandomCrop::operator()(View& view, Draws& draws) const {
  const auto shift = [&] {
    return draws.below(static_cast<std::uint32_t>(2 * padding + 1)) - padding;
  };
  const std::int64_t down = shift(), across = shift();
  view.window(down, across, view.height(), view.width());
}

void RandomHorizontalFlip::operator()(View& view, Draws& draws) const {
  if (draws.below(2) == 1) view.mirror();
}

Box RandomResizedCrop::box(std::int64_t height, std::int64_t width, Draws& draws) const {
  const auto area = static_cast<double>(height * width);
  for (int tries = 0; tries < 10; ++tries) {
    const auto [w, h] = draw_sides(area, scale, ratio, draws);
    if (w < 1 || w > width || h < 1 || h > height) continue;
    return draw_place(height, width, h, w, draws);
  }
  const double aspect =
      std::clamp(static_cast<double>(width) / static_cast<double>(height), ratio[0], ratio[1]);
  const auto by = [](std::int64_t side, double factor) {
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side) * factor)));
  };
  const std::int64_t h = std::min(height, by(width, 1 / aspect));
  const std::int64_t w = std::min(width, by(height, aspect));
  return {(height - h) / 2, (width - w) / 2, h, w};
}

void RandomResizedCrop::operator()(View& view, Draws& draws) const {
  const Box b = box(view.height(), view.width(), draws);
  view.window(b.top, b.left, b.height, b.width);
  view.resize(size, size);
}

View RandomResizedCrop::operator()(StoredImage image, Draws& draws) const {
  const auto choose = [&](std::int64_t height, std::int64_t width) {
    return box(height, width, draws);
  };
  DecodedPart part = decode_part(std::move(image), choose, size);
  return {std::move(part.image), part.window, size, size};
}

void ColorJitter::operator()(View& view, Draws& draws) const {
  std::array<int, 4> order{0, 1, 2, 3};
  for (std::uint32_t i = 3; i > 0; --i) std::swap(order[i], order[draws.below(i + 1)]);
  const auto around_one = [&](double by) { return draws.uniform(std::max(0.0, 1 - by), 1 + by); };
  const double factors[] = {around_one(brightness), around_one(contrast), around_one(saturation),
                            draws.uniform(-hue, hue)};
  const double settings[] = {brightness, contrast, saturation, hue};
  for (const int i : order) {
    if (settings[i] > 0) view.adjust(static_cast<Adjustment>(i), factors[i]);
  }
}

std::optional<Box> RandomErasing::box(std::int64_t height, std::int64_t width, Draws& draws) const {
  if (draws.uniform(0, 1) >= p) return std::nullopt;
  const auto area = static_cast<double>(height * width);
  for (int tries = 0; tries < 10; ++tries) {
    const auto [h, w] = draw_sides(area, scale, ratio, draws);
    if (h < height && w < width) return draw_place(height, width, h, w, draws);
  }
  return std::nullopt;
}

void RandomErasing::operator()(View& view, Draws& draws) const {
  if (const auto b = box(view.height(), view.width(), draws)) view.erase(*b);
}

void Cutout::operator()(View& view, Draws& draws) const {
  const std::int64_t y = draws.below(static_cast<std::uint32_t>(view.height()));
  const std::int64_t x = draws.below(static_cast<std::uint32_t>(view.width()));
  view.erase({y - side / 2, x - side / 2, side, side});
}

bool is_shift(const Transform& t) {
  return std::holds_alternative<RandomCrop>(t) || std::holds_alternative<RandomHorizontalFlip>(t);
}

std::pair<Pipeline, Pipeline> split(const Pipeline& pipeline) {
  const auto random = std::find_if_not(pipeline.begin(), pipeline.end(), [](const Transform& t) {
    return std::holds_alternative<Resize>(t) || std::holds_alternative<CenterCrop>(t) ||
           std::holds_alternative<Pad>(t);
  });
  return {{pipeline.begin(), random}, {random, pipeline.end()}};
}

DecodeOptions decode_options(const Pipeline& pipeline) {
  const auto* resize = pipeline.empty() ? nullptr : std::get_if<Resize>(&pipeline.front());
  return {.shorter_side = resize ? resize->size : 0};
}

View apply(const Pipeline& pipeline, StoredImage image, Draws draws) {
  const auto* crop = pipeline.empty() ? nullptr : std::get_if<RandomResizedCrop>(&pipeline.front());
  View view = crop ? (*crop)(std::move(image), draws)
                   : View(decode(std::move(image), decode_options(pipeline)));
  for (std::size_t i = crop ? 1 : 0; i < pipeline.size(); ++i) {
    std::visit([&](const auto& t) { t(view, draws); }, pipeline[i]);
  }
  return view;
}

Pipeline evaluation(const Preprocessing& p) {
  Pipeline pipeline{Resize{p.resized_side()}, CenterCrop{p.cropped_side()}};
  if (p.border > 0) pipeline.push_back(Pad{p.border});
  return pipeline;
}

Pipeline standard_augmentation(const Preprocessing& p) {
  Pipeline pipeline = evaluation(p);
  pipeline.insert(pipeline.end(), {RandomCrop{}, RandomHorizontalFlip{}});
  return pipeline;
}

Pipeline random_resized_crop(const Preprocessing& p) {
  return training({.random_resized_crop = RandomResizedCrop{}}, true, p);
}

void validate(const TrainTransforms& t) {
  const auto require = [](const Range& range, const char* key) {
    if (range[0] <= range[1]) return;
    throw ConfigError(
        fmt::format("training 'transforms.{}': expected the least and the most, got [{}, {}]", key,
                    range[0], range[1]));
  };
  if (t.random_resized_crop) {
    require(t.random_resized_crop->scale, "random_resized_crop.scale");
    require(t.random_resized_crop->ratio, "random_resized_crop.ratio");
  }
  if (t.random_erasing) {
    require(t.random_erasing->scale, "random_erasing.scale");
    require(t.random_erasing->ratio, "random_erasing.ratio");
  }
}

Pipeline training(const TrainTransforms& t, bool standard, const Preprocessing& p) {
  Pipeline pipeline = standard ? standard_augmentation(p) : evaluation(p);
  if (t.random_resized_crop) {
    RandomResizedCrop crop = *t.random_resized_crop;
    crop.size = p.cropped_side();
    pipeline = {crop};
    if (standard) pipeline.push_back(RandomHorizontalFlip{});
    if (p.border > 0) pipeline.push_back(Pad{p.border});
  }
  if (t.auto_augment) pipeline.push_back(*t.auto_augment);
  if (t.color_jitter) pipeline.push_back(*t.color_jitter);
  if (t.random_erasing) pipeline.push_back(*t.random_erasing);
  if (t.cutout) pipeline.push_back(*t.cutout);
  return pipeline;
}

Sample preprocess(StoredImage image, const Preprocessing& p) {
  return apply(evaluation(p), std::move(image), {0, 0, 0}).render(p.channels);
}

}  // namespace hac
