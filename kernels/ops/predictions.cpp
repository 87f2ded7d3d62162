#include "kernels/ops/predictions.h"

#include <fmt/format.h>

namespace hac {

std::string PredictionsSpec::str() const {
  return fmt::format("predictions:{},n{}c{}", name_of(dtype), n, classes);
}

}  // namespace hac
