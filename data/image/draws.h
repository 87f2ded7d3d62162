#pragma once
// The random numbers of one image, a function of (seed, epoch, position in the epoch) alone.

#include <array>
#include <cstdint>

#include "kernels/core/random.h"

namespace hac {

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

}  // namespace hac
