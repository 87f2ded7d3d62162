#include "kernels/ops/adamw.h"

#include <fmt/format.h>

namespace hac {

std::string AdamWSpec::str() const {
  return fmt::format("adamw:b{},{}eps{}wd{}", beta1, beta2, eps, weight_decay);
}

}  // namespace hac
