#pragma once
// The search for alpha (paper Eq. 4): which networks to train, and which of them won. Training is
// someone else's; everything here is a pure function.

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/arch/architecture.h"
#include "scaling/experiment/results.h"
#include "scaling/methods/method.h"

namespace hac {

// N(1, r, w) after rounding.
struct AlphaCandidate {
  double alpha = 0;       // what the rounded resolution amounts to: 2 ln r / ln s
  double w = 1;           // solved so that MACs come as close to s * F0 as rounding allows
  Architecture arch;      // of resolution r * R0, rounded, and widened uniformly
  double latency_ms = 0;  // predicted, of arch
  double unwidened_latency_ms = 0;  // predicted, of N(1, r, 1): what Algorithm 1 starts from
};

struct AlphaOptions {
  std::vector<double> grid{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
  Rounding rounding;
  double latency_ms = std::numeric_limits<double>::infinity();  // L
};

// The distinct resolutions that the grid gives after rounding, growing, none below the baseline's.
std::vector<std::int64_t> alpha_resolutions(const Architecture& baseline, double s,
                                            const AlphaOptions& options = {});

struct AlphaCandidates {
  std::vector<AlphaCandidate> candidates;  // by growing resolution
  std::string note;                        // "" or what had to be given up
};

// One candidate for each of alpha_resolutions(). Those whose unwidened network already exceeds L
// are dropped: Algorithm 1 could not add a kernel. If none remains: the largest resolution that
// meets L, with a note. Throws ConfigError when the baseline itself exceeds L.
AlphaCandidates alpha_candidates(const Architecture& baseline, double s, const LatencyModel& model,
                                 const AlphaOptions& options = {});

struct AlphaChoice {
  std::size_t index = 0;          // alpha*
  std::vector<std::size_t> tied;  // all whose interval overlaps the best one's, the best included
  std::optional<double> peak;     // vertex of the parabola through the three best points
  std::optional<std::array<double, 3>> parabola;  // c0 + c1 alpha + c2 alpha^2, where peak exists
};

// The most accurate; where intervals overlap the lowest latency decides. The parabola is for the
// report and for a next grid: it exists where three points are concave and its peak lies between
// them. Throws ConfigError for no points.
AlphaChoice choose_alpha(std::span<const AlphaPoint> points);

}  // namespace hac
