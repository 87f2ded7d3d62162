#include "data/image/transforms.h"

#include <algorithm>
#include <cmath>

#include "engine/tensor/random.h"

namespace hac {

Draws::Draws(std::uint64_t seed, std::int64_t epoch, std::int64_t position)
    : philox_{seed, streams::augmentation(epoch)},
      position_(static_cast<std::uint64_t>(position)) {}

std::uint32_t Draws::bits() {
  const std::uint64_t word = taken_++;
  // Further blocks lie behind those of all positions that an epoch can have.
  if (word % 4 == 0) block_ = philox_.block(position_ + (word / 4 << 40));
  return block_[word % 4];
}

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

RandomResizedCrop::Box RandomResizedCrop::box(std::int64_t height, std::int64_t width,
                                              Draws& draws) const {
  const auto area = static_cast<double>(height * width);
  for (int tries = 0; tries < 10; ++tries) {
    const double target = area * draws.uniform(min_area, max_area);
    const double aspect = std::exp(draws.uniform(std::log(min_aspect), std::log(max_aspect)));
    const auto w = static_cast<std::int64_t>(std::nearbyint(std::sqrt(target * aspect)));
    const auto h = static_cast<std::int64_t>(std::nearbyint(std::sqrt(target / aspect)));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const std::int64_t top = draws.below(static_cast<std::uint32_t>(height - h + 1));
    return {top, draws.below(static_cast<std::uint32_t>(width - w + 1)), h, w};
  }
  const double aspect =
      std::clamp(static_cast<double>(width) / static_cast<double>(height), min_aspect, max_aspect);
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

bool is_shift(const Transform& t) {
  return std::holds_alternative<RandomCrop>(t) || std::holds_alternative<RandomHorizontalFlip>(t);
}

std::pair<Pipeline, Pipeline> split(const Pipeline& pipeline) {
  const auto random = std::find_if(pipeline.begin(), pipeline.end(), [](const Transform& t) {
    return is_shift(t) || std::holds_alternative<RandomResizedCrop>(t);
  });
  return {{pipeline.begin(), random}, {random, pipeline.end()}};
}

DecodeOptions decode_options(const Pipeline& pipeline) {
  const auto* resize = pipeline.empty() ? nullptr : std::get_if<Resize>(&pipeline.front());
  return {.shorter_side = resize ? resize->size : 0};
}

View apply(const Pipeline& pipeline, StoredImage image, Draws draws) {
  View view(decode(std::move(image), decode_options(pipeline)));
  for (const Transform& transform : pipeline) {
    std::visit([&](const auto& t) { t(view, draws); }, transform);
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
  Pipeline pipeline{RandomResizedCrop{.size = p.cropped_side()}, RandomHorizontalFlip{}};
  if (p.border > 0) pipeline.push_back(Pad{p.border});
  return pipeline;
}

Sample preprocess(StoredImage image, const Preprocessing& p) {
  return apply(evaluation(p), std::move(image), {0, 0, 0}).render(p.channels);
}

}  // namespace hac
