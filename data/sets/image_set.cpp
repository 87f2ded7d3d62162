#include "data/sets/image_set.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "data/image/transforms.h"
#include "engine/tensor/hash.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

class InMemory final : public Dataset {
 public:
  explicit InMemory(ImageSet set)
      : set_(std::move(set)),
        preprocessing_{.channels = set_.channels,
                       .resolution = set_.resolution + 2 * set_.border,
                       .border = set_.border,
                       .normalization = set_.normalization} {}

  std::int64_t size() const override { return std::ssize(set_.labels); }
  std::int32_t label(std::int64_t i) const override { return set_.labels.at(i); }
  const std::vector<std::string>& classes() const override { return set_.classes; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

  // With its border, as checkpoints have it.
  std::string identity(std::int64_t i) const override {
    const Sample s = preprocess(stored(i), preprocessing_);
    const auto* first = reinterpret_cast<const char*>(s.pixels.data());
    return fmt::format("{:016x}", fnv1a({first, s.pixels.size()}));
  }

  StoredImage read(std::int64_t i) const override { return stored(i); }

 private:
  Sample stored(std::int64_t i) const {
    if (i < 0 || i >= size()) throw std::out_of_range(fmt::format("image {} of {}", i, size()));
    const std::int64_t bytes = set_.channels * set_.resolution * set_.resolution;
    const auto first = set_.pixels.begin() + i * bytes;
    return {set_.channels, set_.resolution, set_.resolution, {first, first + bytes}};
  }

  ImageSet set_;
  Preprocessing preprocessing_;
};

}  // namespace

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
  auto made = std::make_shared<InMemory>(std::move(set));
  validate(made->preprocessing());
  return made;
}

}  // namespace hac
