#pragma once

#include <cmath>

#include "kernels/core/random.h"
#include "models/arch/architecture.h"
#include "scaling/importance/law.h"

namespace hac {

// Falling laws of a network's layers, of any size: a function of the seed alone.
inline std::vector<ImportanceLaw> random_laws(const Architecture& arch, std::uint64_t seed) {
  const Philox random{seed, 3};
  std::vector<ImportanceLaw> laws;
  for (const std::string& name : width_names(arch)) {
    const std::uint64_t l = laws.size();
    laws.push_back({.layer = name,
                    .a = std::pow(10.0, -2 * random.uniform(l)),
                    .b = -0.05 - 1.5 * random.uniform(100 + l)});
  }
  return laws;
}

}  // namespace hac
