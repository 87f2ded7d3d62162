#include "models/arch/rounding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"
#include "models/arch/fields.h"

namespace hac {
namespace {

// N' = round(d N) by largest remainder.
std::vector<std::int64_t> spread(const std::vector<std::int64_t>& before, double d, double total) {
  std::vector<std::int64_t> after;
  auto missing = static_cast<std::int64_t>(std::floor(d * total + 0.5));
  for (const std::int64_t n : before) {
    after.push_back(std::max<std::int64_t>(1, static_cast<std::int64_t>(d * n)));
    missing -= after.back();
  }
  const auto remainder = [&](std::size_t s) { return d * before[s] - after[s]; };
  for (; missing > 0; --missing) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < after.size(); ++s) {
      if (remainder(s) >= remainder(best)) best = s;
    }
    ++after[best];
  }
  // No stage vanishes; what that costs comes from the stages that can give.
  for (; missing < 0; ++missing) {
    std::size_t best = after.size();
    for (std::size_t s = 0; s < after.size(); ++s) {
      if (after[s] > 1 && (best == after.size() || remainder(s) < remainder(best))) best = s;
    }
    if (best == after.size()) break;
    --after[best];
  }
  return after;
}

}  // namespace

std::int64_t round_down_to(double value, std::int64_t q) {
  const std::int64_t nearest = round_to(value, q);
  return static_cast<double>(nearest) > value && nearest > q ? nearest - q : nearest;
}

std::int64_t round_filters(double width, std::int64_t q) {
  const std::int64_t nearest = round_to(width, q);
  return static_cast<double>(nearest) < 0.9 * width ? nearest + q : nearest;
}

std::vector<std::int64_t> scaled_blocks(const std::vector<std::int64_t>& blocks, double d,
                                        DepthRule rule) {
  const auto total = static_cast<double>(std::accumulate(blocks.begin(), blocks.end(), 0ll));
  if (!std::isfinite(d) || d <= 0 || blocks.empty() || d * total > max_layers) {
    throw ConfigError(fmt::format(
        "depth scaling: expected a depth multiplier > 0 that leaves at most {} units, got {} with "
        "{} units",
        max_layers, d, total));
  }
  if (rule == DepthRule::total) return spread(blocks, d, total);
  std::vector<std::int64_t> after;
  for (const std::int64_t n : blocks) {
    const double scaled = d * static_cast<double>(n);
    const double whole = rule == DepthRule::ceil ? std::ceil(scaled) : std::nearbyint(scaled);
    after.push_back(std::max<std::int64_t>(1, static_cast<std::int64_t>(whole)));
  }
  return after;
}

}  // namespace hac
