#include "kernels/ops/sgd.h"

#include <fmt/format.h>

namespace hac {

std::string SgdSpec::str() const {
  return fmt::format("sgd:m{}wd{}{}", momentum, weight_decay, nesterov ? ",nesterov" : "");
}

}  // namespace hac
