#include "kernels/ops/mixup.h"

#include <fmt/format.h>

namespace hac {

std::string MixupSpec::str() const {
  return fmt::format("mixup:{},n{}e{}h{}w{}b{},k{}", name_of(dtype), n, elements, height, width,
                     block, classes);
}

}  // namespace hac
