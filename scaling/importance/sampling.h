#pragma once
// Which networks to train for the importance laws: at least five width
// configurations around the baseline.

#include <cstdint>
#include <string>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

enum class SamplingKind : std::uint8_t {
  uniform,          // one multiplier for all layers
  latin_hypercube,  // independent multipliers: every layer visits every stratum once
};

template <>
inline constexpr std::string_view enum_names<SamplingKind>[] = {"uniform", "latin-hypercube"};

struct SamplingOptions {
  SamplingKind kind = SamplingKind::uniform;
  std::vector<double> multipliers{0.5, 0.75, 1, 1.5, 2};  // uniform
  int samples = 5;                                        // latin_hypercube
  double low = 0.5, high = 2;  // latin_hypercube: multipliers are log-uniform in [low, high)
  std::int64_t round_to = 4;   // widths are multiples of this, at least one
  std::uint64_t seed = 0;

  Fields fields() {
    return Fields()
        .add("sampling", kind)
        .add("multipliers", multipliers, {.low = 0, .high = 64, .above = true})
        .add("samples", samples, {5, 10000})
        .add("low", low, {.low = 0, .high = 64, .above = true})
        .add("high", high, {.low = 0, .high = 64, .above = true})
        .add("round_to", round_to, {1})
        .add("sampling_seed", seed);
  }
};

// Width vectors, one a network. A function of its arguments alone. Throws ConfigError: fewer than
// five samples, a multiplier out of (0, 64], or rounding so coarse that two samples coincide or a
// layer keeps one width throughout.
std::vector<std::vector<std::int64_t>> sample_widths(const std::vector<std::int64_t>& baseline,
                                                     const SamplingOptions& options = {});

}  // namespace hac
