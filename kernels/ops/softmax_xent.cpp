#include "kernels/ops/softmax_xent.h"

#include <fmt/format.h>

#include "kernels/core/error.h"

namespace hac {

std::string SoftmaxXentSpec::str() const {
  return fmt::format("softmax_xent:{},n{}{}c{}{},smoothing{}", name_of(dtype), n,
                     batch > 0 ? fmt::format("of{}", batch) : "", classes, soft ? ",soft" : "",
                     smoothing);
}

void SoftmaxXentSpec::check_labels(const std::int32_t* labels) const {
  for (std::int64_t i = 0; i < n; ++i) {
    if (labels[i] >= 0 && labels[i] < classes) continue;
    throw ShapeError(fmt::format("softmax_xent: label of image {} is {}, expected 0 to {}", i,
                                 labels[i], classes - 1));
  }
}

}  // namespace hac
