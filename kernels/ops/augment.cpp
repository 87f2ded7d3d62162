#include "kernels/ops/augment.h"

#include <fmt/format.h>

namespace hac {

std::string AugmentSpec::str() const {
  return fmt::format("augment:{},n{}c{}r{}->{}{}", name_of(dtype), n, channels, native, resolution,
                     stored > 0 ? fmt::format(",stored{}", stored) : "");
}

const AugmentKernels augment_cpu{};

}  // namespace hac
