#pragma once

#include <cstdint>
#include <vector>

namespace hac {

// As values() of tests/engine/optim_goldens.py: noise in [-scale, scale).
inline std::vector<float> golden_values(std::int64_t n, std::int64_t stream, float scale) {
  std::vector<float> values(n);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto k = static_cast<std::uint32_t>((i + 1000 * stream) * 2654435761) >> 8;
    values[i] = static_cast<float>(static_cast<double>(k) / (1 << 23) - 1) * scale;
  }
  return values;
}

}  // namespace hac
