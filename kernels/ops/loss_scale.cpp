#include "kernels/ops/loss_scale.h"

#include <fmt/format.h>

namespace hac {

std::string LossScaleSpec::str() const {
  return fmt::format("loss_scale:growth{}backoff{}interval{}", growth, backoff, interval);
}

}  // namespace hac
