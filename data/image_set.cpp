#include "data/image_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/random.h"
#include "kernels/error.h"

namespace hac {
namespace {

class InMemory final : public Dataset {
 public:
  explicit InMemory(ImageSet set) : set_(std::move(set)) {}

  std::int64_t size() const override { return std::ssize(set_.labels); }
  std::int32_t label(std::int64_t i) const override { return set_.labels.at(i); }
  std::int64_t channels() const override { return set_.channels; }
  std::int64_t resolution() const override { return set_.resolution; }
  const std::vector<std::string>& classes() const override { return set_.classes; }
  Normalization normalization() const override { return set_.normalization; }
  Preprocessing preprocessing() const override {
    Preprocessing p = Dataset::preprocessing();
    p.border = set_.border;
    return p;
  }

  std::string identity(std::int64_t i) const override {
    const std::int64_t bytes = set_.channels * set_.resolution * set_.resolution;
    const auto* first = reinterpret_cast<const char*>(set_.pixels.data()) + i * bytes;
    return fmt::format("{:016x}", stream_of({first, static_cast<std::size_t>(bytes)}));
  }

  Sample get(std::int64_t i) const override {
    const std::int64_t bytes = set_.channels * set_.resolution * set_.resolution;
    const std::int32_t label = set_.labels.at(i);
    const auto first = set_.pixels.begin() + i * bytes;
    return {set_.channels, set_.resolution, set_.resolution, {first, first + bytes}, label};
  }

 private:
  ImageSet set_;
};

class Subset final : public Dataset {
 public:
  Subset(DatasetPtr set, std::vector<std::int64_t> indices)
      : set_(std::move(set)), indices_(std::move(indices)) {}

  std::int64_t size() const override { return std::ssize(indices_); }
  Sample get(std::int64_t i) const override { return set_->get(indices_.at(i)); }
  std::int32_t label(std::int64_t i) const override { return set_->label(indices_.at(i)); }
  std::string identity(std::int64_t i) const override { return set_->identity(indices_.at(i)); }
  std::int64_t channels() const override { return set_->channels(); }
  std::int64_t resolution() const override { return set_->resolution(); }
  const std::vector<std::string>& classes() const override { return set_->classes(); }
  Normalization normalization() const override { return set_->normalization(); }
  Preprocessing preprocessing() const override { return set_->preprocessing(); }

 private:
  DatasetPtr set_;
  std::vector<std::int64_t> indices_;
};

}  // namespace

std::string fingerprint(const Dataset& set) {
  std::uint64_t hash = 0;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    hash = stream_of(fmt::format("{:016x} {} {}", hash, set.label(i), set.identity(i)));
  }
  return fmt::format("{:016x}", hash);
}

DatasetPtr in_memory(ImageSet set) {
  const std::int64_t bytes = set.channels * set.resolution * set.resolution;
  if (bytes <= 0 || std::ssize(set.pixels) != bytes * std::ssize(set.labels)) {
    throw ShapeError(
        fmt::format("image set: {} labels with {}x{}x{} images expect {} bytes, got {}",
                    set.labels.size(), set.channels, set.resolution, set.resolution,
                    bytes * std::ssize(set.labels), set.pixels.size()));
  }
  for (const std::int32_t label : set.labels) {
    if (label < 0 || label >= std::ssize(set.classes)) {
      throw ShapeError(
          fmt::format("image set: label {} with {} classes", label, set.classes.size()));
    }
  }
  return std::make_shared<InMemory>(std::move(set));
}

DatasetPtr subset(DatasetPtr set, std::vector<std::int64_t> indices) {
  for (const std::int64_t i : indices) {
    if (i < 0 || i >= set->size()) {
      throw ShapeError(fmt::format("subset: index {} of a set of {} images", i, set->size()));
    }
  }
  return std::make_shared<Subset>(std::move(set), std::move(indices));
}

DatasetPtr limit_per_class(DatasetPtr set, std::int64_t n, const std::string& option) {
  if (n == 0) return set;
  const std::int64_t classes = std::ssize(set->classes());
  if (n < classes) {
    throw ConfigError(
        fmt::format("{} {}: expected 0 (all) or at least one image for each of the {} classes",
                    option, n, classes));
  }
  const std::int64_t each = n / classes;
  std::vector<std::int64_t> taken(classes, 0), indices;
  for (std::int64_t i = 0; i < set->size() && std::ssize(indices) < each * classes; ++i) {
    std::int64_t& count = taken[set->label(i)];
    if (count == each) continue;
    ++count;
    indices.push_back(i);
  }
  for (std::int64_t c = 0; c < classes; ++c) {
    if (taken[c] < each) {
      throw ConfigError(fmt::format("{} {}: expected {} images of each class, class '{}' has {}",
                                    option, n, each, set->classes()[c], taken[c]));
    }
  }
  return subset(std::move(set), std::move(indices));
}

}  // namespace hac
