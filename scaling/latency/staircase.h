#pragma once
// In which steps the time of a layer grows with its width. Hardware works on blocks of channels
// (vectors, tiles), so that time is a staircase in the width (specification 1.7 #25; "tail effect",
// arXiv 2011.03897): all widths of one step cost the same, and only its right-hand edge is worth
// choosing.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"

namespace hac {

// Of a layer whose other ends stayed as they were, inside runs of the whole network.
struct WidthTime {
  std::int64_t width = 0;
  double ms = 0;
  double low_ms = 0, high_ms = 0;  // of its repetitions, the least and the most; 0, 0: unknown

  Fields fields() {
    return Fields()
        .add("width", width, {1, 1 << 20})
        .add("ms", ms, {.low = 0, .high = 1e9, .above = true})
        .add("low_ms", low_ms, {0, 1e9})
        .add("high_ms", high_ms, {0, 1e9});
  }
  bool operator==(const WidthTime&) const = default;
};

inline constexpr std::int64_t step_candidates[] = {1, 4, 8, 16, 32, 64};

struct LayerStaircase {
  std::string layer;
  std::vector<WidthTime> points;  // by width
  std::int64_t step = 1;          // the likeliest of step_candidates; 1 is a straight line
  std::int64_t runner_up = 1;     // the next one
  // Twice the logarithm of how much likelier `step` makes the points than `runner_up` does.
  double evidence = 0;
  bool clear = false;

  Fields fields() {
    return Fields()
        .add("layer", layer)
        .add("step", step, {1, 64})
        .add("runner_up", runner_up, {1, 64})
        .add(HAC_FIELDS(evidence, clear, points));
  }
  bool operator==(const LayerStaircase&) const = default;
};

// All layers that were looked at, and what they say together.
struct Staircase {
  std::int64_t block = 0;  // 0 where the evidence is not clear
  std::int64_t likeliest = 1, runner_up = 1;
  double evidence = 0;  // sum over the layers of what they say of these two
  std::vector<LayerStaircase> layers;

  Fields fields() {
    return Fields()
        .add("block", block, {0, 64})
        .add("likeliest", likeliest, {1, 64})
        .add("runner_up", runner_up, {1, 64})
        .add("evidence", evidence)
        .add("layers", layers);
  }
  bool operator==(const Staircase&) const = default;
};

// For each candidate s the parabola through (ceil(width / s) s, ms) that fits best, points weighed
// by 1 / error^2, no error below the median relative one nor 0.2 %; of n points whose weighted
// squares sum to R, -2 ln L = n ln R. Clear is a lead of at least 10 ("very strong", Kass and
// Raftery 1995) before the runner-up and before no dependence on the width at all. Throws
// ConfigError: fewer than 8 points, or a width twice.
inline constexpr double clear_evidence = 10;
LayerStaircase find_staircase(const std::string& layer, std::vector<WidthTime> points);
// One block for all of them, by the sum of what they say.
Staircase find_staircase(std::vector<LayerStaircase> layers);

// The widths to time around a layer's own, on both sides of the edges of every candidate: from its
// multiple of 16 up to 128 channels above.
std::vector<std::int64_t> staircase_widths(std::int64_t width);

}  // namespace hac
