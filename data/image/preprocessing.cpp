#include "data/image/preprocessing.h"

#include <fmt/format.h>

#include <cmath>

#include "kernels/core/error.h"

namespace hac {

void validate(const Preprocessing& p) {
  const auto require = [](bool ok, const char* field, const char* expected) {
    if (!ok) throw ConfigError(fmt::format("preprocessing '{}': expected {}", field, expected));
  };
  require(p.channels == 1 || p.channels == 3, "channels", "1 or 3");
  require(p.resolution >= 1 && p.resolution <= 65536, "resolution", "1 to 65536");
  require(p.border >= 0 && p.cropped_side() >= 1, "border", "0 to less than half the resolution");
  require(p.crop_pct > 0.01 && p.crop_pct <= 1, "crop_pct", "more than 0.01, at most 1");
  require(p.interpolation == "bilinear", "interpolation", "bilinear");
  for (int c = 0; c < 3; ++c) {
    require(std::isfinite(p.normalization.mean[c]), "mean", "finite numbers");
    require(std::isfinite(p.normalization.std[c]) && p.normalization.std[c] > 0, "std",
            "positive numbers");
  }
}

}  // namespace hac
