#include "kernels/sgd.h"

#include <fmt/format.h>

namespace hac {

// Gradient, weight and velocity are read, weight and velocity written.
Cost SgdSpec::cost() const {
  return {.activation_bytes = 5 * elements * static_cast<std::int64_t>(size_of(dtype))};
}

std::string SgdSpec::str() const {
  return fmt::format("sgd:{},n{},lr{}m{}wd{}{}", name_of(dtype), elements, lr, momentum,
                     weight_decay, nesterov ? ",nesterov" : "");
}

}  // namespace hac
