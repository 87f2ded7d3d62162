#include "kernels/ops/augment.h"

#include <fmt/format.h>

namespace hac {

// Every byte of the images read once, the batch written once.
Cost AugmentSpec::cost() const {
  const std::int64_t planes = n * channels;
  return {.activation_bytes =
              planes * (native * native +
                        resolution * resolution * static_cast<std::int64_t>(size_of(dtype)))};
}

std::string AugmentSpec::str() const {
  return fmt::format("augment:{},n{}c{}r{}->{}", name_of(dtype), n, channels, native, resolution);
}

const AugmentKernels augment_cpu{};

}  // namespace hac
