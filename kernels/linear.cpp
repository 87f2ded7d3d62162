#include "kernels/linear.h"

#include <fmt/format.h>

namespace hac {

Cost LinearSpec::cost() const {
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  Cost cost;
  cost.params = in * out + (bias ? out : 0);
  cost.macs = n * in * out;
  cost.ops_thop = cost.macs;  // THOP 2021 does not count the bias of a linear layer
  cost.weight_bytes = bytes * cost.params;
  cost.activation_bytes = bytes * n * (in + out);
  return cost;
}

std::string LinearSpec::str() const {
  return fmt::format("linear:{},n{}i{}o{}{}", name_of(dtype), n, in, out, bias ? ",bias" : "");
}

}  // namespace hac
