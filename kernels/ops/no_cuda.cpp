// Stands in for kernels/cuda in a build without CUDA: empty, so that asking for the device is a
// clear error and nothing else in the code needs to know. The operations' tables, empty too, are
// generated (kernels/CMakeLists.txt).

#include "kernels/core/runtime.h"
#include "kernels/cuda/options.h"
#include "kernels/ops/bias_gradient.h"

namespace hac {

const BiasGradientKernel bias_gradient_cuda{};
const Runtime runtime_cuda{};

namespace cuda {

// There is no library to call these with.
void autotune(Library&, PlanFile) {}
void set_early_launches(Library&, bool) {}
void copy_options(const Library&, Library&) {}
std::string describe_plans(Library&) { return ""; }
PlanOptions& plan_options(Library&) {
  static PlanOptions none;
  return none;
}

}  // namespace cuda
}  // namespace hac
