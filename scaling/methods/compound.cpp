// Compound scaling: depth, width and resolution together, by one growth s of the operations.

#include "scaling/methods/compound_factors.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/core/error.h"
#include "scaling/methods/method.h"

namespace hac {

namespace {

void check(double s, double alpha) {
  if (!(s >= 1 && s <= 1e6)) {
    throw ConfigError(fmt::format("compound scaling 's': expected 1 to 1e6, got {}", s));
  }
  if (!(alpha >= 0 && alpha <= 1)) {
    throw ConfigError(fmt::format("compound scaling 'alpha': expected 0 to 1, got {}", alpha));
  }
}

Architecture scaled(const Architecture& baseline, const CompoundFactors& f, const Rounding& q) {
  const Architecture deep = f.d == 1 ? baseline : scale_depth(baseline, f.d);
  return scale_width(scale_resolution(deep, f.r, q.resolution_step(baseline)), f.w,
                     q.width_multiple, q.scale_stem);
}

}  // namespace

CompoundFactors hacscale_factors(double s, double alpha) {
  check(s, alpha);
  return {.d = 1, .w = std::pow(s, (1 - alpha) / 2), .r = std::pow(s, alpha / 2)};
}

CompoundFactors tan_factors(double phi, const TanConstants& c) {
  return {.d = std::pow(c.alpha, phi), .w = std::pow(c.beta, phi), .r = std::pow(c.gamma, phi)};
}

CompoundFactors dollar_factors(double s, double alpha) {
  check(s, alpha);
  return {.d = std::pow(s, (1 - alpha) / 2),
          .w = std::pow(s, alpha / 2),
          .r = std::pow(s, (1 - alpha) / 4)};
}

Method compound() {
  return {.key = "compound",
          .name = "compound",
          .help = "width and resolution together, alpha of the growth by resolution (Eq. 3)",
          .coefficients = {{"alpha", "0: all width, 1: all resolution", 0.5},
                           {"s", "growth of the operations"}},
          .scale = [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
            return scaled(baseline, hacscale_factors(c[1], c[0]), q);
          }};
}

Method efficientnet() {
  return {.key = "efficientnet",
          .name = "EfficientNet compound",
          .help = "depth, width and resolution by fixed shares of the growth (Tan and Le 2019)",
          .coefficients = {{"alpha", "of depth, alpha^phi", TanConstants{}.alpha},
                           {"beta", "of width, beta^phi", TanConstants{}.beta},
                           {"gamma", "of resolution, gamma^phi", TanConstants{}.gamma},
                           {"s", "growth of the operations"}},
          .scale = [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
            const TanConstants constants{.alpha = c[0], .beta = c[1], .gamma = c[2]};
            if (!(c[0] >= 1 && c[1] >= 1 && c[2] >= 1 && constants.growth() > 1)) {
              throw ConfigError(fmt::format(
                  "efficientnet: expected alpha, beta and gamma of at least 1, one above it, got "
                  "{}, {} and {}",
                  c[0], c[1], c[2]));
            }
            const double phi = std::log(c[3]) / std::log(constants.growth());
            return scaled(baseline, tan_factors(phi, constants), q);
          }};
}

Method fast_compound() {
  return {.key = "fast-compound",
          .name = "fast compound",
          .help = "mostly width, alpha of the growth (Dollar et al. 2021)",
          .coefficients = {{"alpha", "1: all width, 1/3: equal shares", 0.8},
                           {"s", "growth of the operations"}},
          .scale = [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
            return scaled(baseline, dollar_factors(c[1], c[0]), q);
          }};
}

}  // namespace hac
