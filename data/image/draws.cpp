#include "data/image/draws.h"

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

}  // namespace hac
