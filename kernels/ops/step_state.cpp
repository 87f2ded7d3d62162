#include "kernels/ops/step_state.h"

#include <fmt/format.h>

namespace hac {

// The CPU records nothing: its steps ask the host.
const StepStateKernels step_state_cpu{};

std::string StepCountSpec::str() const {
  return fmt::format("step_count:n{}c{},images{}{}{}", n, classes, images, first ? ",first" : "",
                     last ? ",last" : "");
}

}  // namespace hac
