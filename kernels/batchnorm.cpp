#include "kernels/batchnorm.h"

#include <fmt/format.h>

namespace hac {

Cost BatchNormSpec::cost() const {
  const std::int64_t elements = shape().numel();
  Cost cost;
  cost.params = 2 * c;
  cost.ops_thop = 2 * elements;
  // gamma, beta and the running statistics are f32 whatever the activations are.
  cost.weight_bytes = 4 * c * static_cast<std::int64_t>(size_of(Dtype::f32));
  cost.activation_bytes = (add ? 3 : 2) * elements * static_cast<std::int64_t>(size_of(dtype));
  return cost;
}

std::string BatchNormSpec::str() const {
  return fmt::format("batchnorm:{},n{}c{}h{}w{}{}{},eps{}", name_of(dtype), n, c, h, w,
                     add ? ",add" : "", relu ? ",relu" : "", eps);
}

}  // namespace hac
