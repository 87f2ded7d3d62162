#include "kernels/ops/sgd.h"

#include <fmt/format.h>

namespace hac {

std::string SgdSpec::str() const {
  const std::string trust =
      trust_coefficient > 0 ? fmt::format("trust{}eps{}", trust_coefficient, eps) : "";
  return fmt::format("sgd:m{}wd{}{}{}", momentum, weight_decay, trust, nesterov ? ",nesterov" : "");
}

}  // namespace hac
