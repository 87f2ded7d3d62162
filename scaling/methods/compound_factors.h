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
// EfficientNet (Tan and Le 2019): d = alpha^phi, w = beta^phi, r = gamma^phi, so
// s = (alpha beta^2 gamma^2)^phi; 1.9203^phi for the published constants, which were searched on
// EfficientNet-B0 at phi = 1 under s = 2.
struct TanConstants {
  double alpha = 1.2, beta = 1.1, gamma = 1.15;
  double growth() const { return alpha * beta * beta * gamma * gamma; }  // s of phi = 1
};
CompoundFactors tan_factors(double phi, const TanConstants& constants = {});
// Fast compound scaling (Dollar et al. 2021): d = s^((1-alpha)/2), w = s^(alpha/2),
// r = s^((1-alpha)/4); activations grow with d * w * r^2 = s^(1 - alpha/2).
CompoundFactors dollar_factors(double s, double alpha = 0.8);

}  // namespace hac
