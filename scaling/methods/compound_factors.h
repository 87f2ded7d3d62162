#pragma once
// The formulas that split a growth of the operations by s over depth, width and resolution. All
// obey d * w^2 * r^2 = s: operations grow with d, with w^2 and with r^2.

namespace hac {

struct CompoundFactors {
  double d = 1, w = 1, r = 1;
  bool operator==(const CompoundFactors&) const = default;
};

// HACScale, paper Eq. 3: d = 1, r = sqrt(s)^alpha, w = sqrt(s)^(1 - alpha).
// Throws ConfigError unless s >= 1 and alpha in [0, 1].
CompoundFactors hacscale_factors(double s, double alpha);
// EfficientNet (Tan and Le 2019): d = 1.2^phi, w = 1.1^phi, r = 1.15^phi, so s = 1.9203^phi.
CompoundFactors tan_factors(double phi);
// Fast compound scaling (Dollar et al. 2021): d = s^((1-alpha)/2), w = s^(alpha/2),
// r = s^((1-alpha)/4); activations grow with d * w * r^2 = s^(1 - alpha/2).
CompoundFactors dollar_factors(double s, double alpha = 0.8);

}  // namespace hac
