#include "kernels/ops/lars.h"

#include <fmt/format.h>

namespace hac {

std::string LarsSpec::str() const {
  return fmt::format("lars:m{}wd{}trust{}eps{}{}", momentum, weight_decay, trust_coefficient, eps,
                     nesterov ? ",nesterov" : "");
}

}  // namespace hac
