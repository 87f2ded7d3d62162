#pragma once
// Philox4x32-10 (Salmon et al., SC 2011): a counter-based generator. The same (seed, stream, index)
// gives the same number on every device, in any order, from any thread.

#include <array>
#include <cmath>
#include <cstdint>

namespace hac {

struct Philox {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;

  constexpr std::array<std::uint32_t, 4> block(std::uint64_t index) const {
    std::uint32_t c[4] = {
        static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
        static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)};
    std::uint32_t k0 = static_cast<std::uint32_t>(seed);
    std::uint32_t k1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0;
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1;
      c[1] = static_cast<std::uint32_t>(p1);
      c[3] = static_cast<std::uint32_t>(p0);
      c[0] = n0;
      c[2] = n2;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {c[0], c[1], c[2], c[3]};
  }

  constexpr std::uint32_t bits(std::uint64_t i) const { return block(i >> 2)[i & 3]; }
  // Uniform in [0, 1) with 24 bits.
  constexpr float uniform(std::uint64_t i) const {
    return static_cast<float>(bits(i) >> 8) * 0x1p-24f;
  }
  // Uniform integer in [0, n), n < 2^32, by multiply-shift.
  constexpr std::uint32_t below(std::uint64_t i, std::uint32_t n) const {
    return static_cast<std::uint32_t>((std::uint64_t{bits(i)} * n) >> 32);
  }
  // Standard normal by Box-Muller on one block.
  float normal(std::uint64_t i) const {
    const auto b = block(i);
    const double u1 = (b[0] + 1.0) * 0x1p-32, u2 = b[1] * 0x1p-32;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u1)) * std::cos(6.283185307179586 * u2));
  }
};

}  // namespace hac
