#include "kernels/taylor.h"

#include <fmt/format.h>

namespace hac {

// Weights and gradients are read; the double scores are read and written.
Cost TaylorSpec::cost() const {
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t score_bytes = static_cast<std::int64_t>(sizeof(double));
  return {.activation_bytes = kernels * (2 * weights * bytes + 2 * score_bytes)};
}

std::string TaylorSpec::str() const {
  return fmt::format("taylor:{},k{}w{}", name_of(dtype), kernels, weights);
}

}  // namespace hac
