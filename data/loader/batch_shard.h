#pragma once
// The parts of a batch, and which of them a rank computes: a function of the number of images
// alone, so that whoever cuts a batch cuts it alike.

#include <algorithm>
#include <cstdint>

namespace hac {

// Parts [first, last) of `count`, of a batch of `images`.
struct BatchShard {
  std::int64_t images = 0;
  std::int64_t count = 1, first = 0, last = 1;

  // The image that a part begins with; parts are equal to within an image.
  std::int64_t begin(std::int64_t part) const { return images * part / count; }
  std::int64_t begin() const { return begin(first); }
  std::int64_t size() const { return begin(last) - begin(first); }
};

// Of so many parts, or fewer where they would have less than two images, as the last batch of an
// epoch may, those of a rank.
inline BatchShard shard_of(std::int64_t images, std::int64_t parts, int rank = 0, int ranks = 1) {
  const std::int64_t count = std::clamp<std::int64_t>(images / 2, 1, parts);
  return {.images = images,
          .count = count,
          .first = count * rank / ranks,
          .last = count * (rank + 1) / ranks};
}

}  // namespace hac
