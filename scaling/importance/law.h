#pragma once
// The importance law of one layer (paper Eq. 6): the expected loss increase of removing one kernel,
// against the layer's width,
//
//   I(C) = a * C^b,   b < 0 where more kernels make each of them matter less.
//
// Fitted by non-linear least squares over several trained width configurations. R^2 is
// 1 - SSres/SStot in linear space; it can be negative.

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/io/fields.h"

namespace hac {

// One layer in one trained network.
struct ImportanceSample {
  double width = 0;       // output channels
  double importance = 0;  // mean over the layer's kernels of sum (g_m m)^2 (Eq. 5)
  std::uint64_t seed = 0;
  std::int64_t resolution = 0;  // of the network's input; 0 = not recorded
  bool operator==(const ImportanceSample&) const = default;
};

// All networks must list their samples in the same order in every layer.
struct LayerSamples {
  std::string layer;
  std::vector<ImportanceSample> samples;
  bool operator==(const LayerSamples&) const = default;
};

struct ImportanceLaw {
  std::string layer;
  double a = 0, b = 0;
  double fitted_b = 0;  // what the fit gave; differs from b where b had to be replaced
  double r2 = 0;
  std::vector<double> residuals;  // importance - a * width^b, in the order of the samples
  std::int64_t n = 0;
  std::int64_t resolution = 0;  // of the samples; 0 = not recorded or mixed
  std::string warning;          // "" if the law can be trusted

  double operator()(double width) const { return a * std::pow(width, b); }
  Fields fields() {
    return Fields()
        .add("layer", layer)
        .add("a", a, {.low = 0})
        .add("b", b, {-100, 100})
        .add("fitted_b", fitted_b, {-100, 100})
        .add("r2", r2, {.high = 1})
        .add("n", n, {0, 1000000})
        .add("resolution", resolution, {0, 65536})
        .add("warning", warning)
        .add("residuals", residuals);
  }
  bool operator==(const ImportanceLaw&) const = default;
};

struct FitOptions {
  // Weigh every residual by 1/importance. Plain least squares is ruled by the narrowest width.
  bool relative = false;
  bool strict = false;  // refuse b >= 0 instead of replacing it
};

// Variable projection: for a fixed b the best a is linear, a = sum(I u^b) / sum(u^2b) with
// u = C / geomean(C); b is searched in [-8, 8] and refined to rounding.
// Throws ConfigError: fewer than two different widths, a width < 1, an importance that is negative
// or not finite. Makes no judgement on the sign of b.
ImportanceLaw fit_law(const LayerSamples& layer, const FitOptions& options = {});

// What the law says of each sample that it was not fitted on: fitted on the samples of all other
// widths, so the ends of the range are extrapolated.
struct HeldOutPrediction {
  double width = 0, observed = 0;
  double predicted = 0;  // a * C^b
  double constant = 0;   // the mean importance of the other widths: a model without a width
};
// In the order of the samples; empty with fewer than three different widths.
std::vector<HeldOutPrediction> leave_one_width_out(const LayerSamples& layer,
                                                   const FitOptions& options = {});

// Fits every layer. With b >= 0 one layer would be widened forever, so such a law is replaced by
// one with the median b of the other layers through this layer's mean point, with a warning; with
// `strict` it is a ConfigError. Where no layer has b < 0, b = -1 (a layer's total importance I * C
// does not depend on its width).
std::vector<ImportanceLaw> fit_laws(std::span<const LayerSamples> layers,
                                    const FitOptions& options = {});

// Says so when all layers were widened together: with uniform multipliers a layer's law is mixed
// up with the widths of the others. "" if the widths vary independently (|correlation| < 0.95).
std::string collinearity_note(std::span<const LayerSamples> layers);

// Throws ConfigError where every importance is 0: nothing says then which layer to widen.
void require_importance(std::span<const ImportanceLaw> laws);

std::string to_json(std::span<const ImportanceLaw> laws);
std::vector<ImportanceLaw> laws_from_json(const std::string& text);  // throws ConfigError

}  // namespace hac
