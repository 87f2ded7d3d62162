#pragma once
// How much of the machine a network uses: operations per second (the paper's "utilization",
// Fig. 2), and the networks whose measurement draws that figure.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/arch/architecture.h"
#include "models/deploy/inference_session.h"
#include "scaling/methods/method.h"

namespace hac {

// GMAC/s = MACs / latency. The paper calls it GFLOPS; it counts multiply-accumulates. Throws
// ConfigError for a latency that is not positive.
double utilization_gmacs(std::int64_t macs, double latency_ms);
// Against what this machine can do at most, in GMAC/s.
double peak_fraction(double gmacs_per_s, double peak_gmacs_per_s);

// What computes a step as it was deployed; no name of what is no convolution.
ConvImplementation implementation(const InferenceSession& net, const InferenceSession::Step& step);
// Multiply-accumulates that all steps really do.
std::int64_t multiplications(const InferenceSession& net);

struct SweepPoint {
  std::string dimension;  // width | depth | resolution
  double factor = 1;      // w, d or r
  Architecture arch;
  std::int64_t macs = 0;
};

struct SweepOptions {
  std::vector<double> growth{1, 1.5, 2, 3, 4};  // wanted MACs over the baseline's
  Rounding rounding;
};

// For every growth s: width sqrt(s), depth s, resolution sqrt(s), each alone. A network that
// rounding makes equal to the one before it in its dimension is left out.
std::vector<SweepPoint> utilization_sweep(const Architecture& baseline,
                                          const SweepOptions& options = {});

}  // namespace hac
