#include "scaling/methods/compound_factors.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/core/error.h"

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

}  // namespace

CompoundFactors hacscale_factors(double s, double alpha) {
  check(s, alpha);
  return {.d = 1, .w = std::pow(s, (1 - alpha) / 2), .r = std::pow(s, alpha / 2)};
}

CompoundFactors tan_factors(double phi) {
  return {.d = std::pow(1.2, phi), .w = std::pow(1.1, phi), .r = std::pow(1.15, phi)};
}

CompoundFactors dollar_factors(double s, double alpha) {
  check(s, alpha);
  return {.d = std::pow(s, (1 - alpha) / 2),
          .w = std::pow(s, alpha / 2),
          .r = std::pow(s, (1 - alpha) / 4)};
}

}  // namespace hac
