#pragma once
// The ways in which published scaling methods turn real factors into whole widths, sizes and depths
// (with round_to() of models/arch/architecture.h, the nearest multiple with halves up).

#include <cstdint>
#include <vector>

namespace hac {

// The largest multiple of q that is not above, at least q. Throws ConfigError as round_to() does.
std::int64_t round_down_to(double value, std::int64_t q);
// EfficientNet's round_filters: the nearest multiple of q; one more where that loses a tenth.
std::int64_t round_filters(double width, std::int64_t q = 8);

enum class DepthRule : std::uint8_t {
  total,  // N' = round(d N) in all, by largest remainder, ties to the later stage
  ceil,   // ceil(d n) of each stage: EfficientNet's round_repeats
  round   // round(d n) of each stage, halves to even, at least 1: pycls
};
// Units (blocks, convolutions) of each stage. Throws ConfigError: no stages, or d not above 0 or
// one that gives too many units.
std::vector<std::int64_t> scaled_blocks(const std::vector<std::int64_t>& blocks, double d,
                                        DepthRule rule = DepthRule::total);

}  // namespace hac
