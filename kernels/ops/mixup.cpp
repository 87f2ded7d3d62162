#include "kernels/ops/mixup.h"

#include <fmt/format.h>

namespace hac {

// The batch read and written once.
Cost MixupSpec::cost() const {
  return {.activation_bytes = 2 * n * elements * static_cast<std::int64_t>(size_of(dtype))};
}

std::string MixupSpec::str() const {
  return fmt::format("mixup:{},n{}e{},k{}", name_of(dtype), n, elements, classes);
}

}  // namespace hac
