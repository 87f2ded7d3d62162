// Stands in for every *_cuda table in a build without CUDA: empty, so that asking for the device is
// a clear error and nothing else in the code needs to know.

#include "kernels/core/error.h"
#include "kernels/core/runtime.h"
#include "kernels/cuda/options.h"
#include "kernels/cuda/tuned_plans.h"
#include "kernels/ops/augment.h"
#include "kernels/ops/batchnorm.h"
#include "kernels/ops/bias_gradient.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/linear.h"
#include "kernels/ops/loss_scale.h"
#include "kernels/ops/mixup.h"
#include "kernels/ops/pool2d.h"
#include "kernels/ops/sgd.h"
#include "kernels/ops/softmax_xent.h"
#include "kernels/ops/taylor.h"

namespace hac {

const AugmentKernels augment_cuda{};
const BatchNormKernels batchnorm_cuda{};
const BiasGradientKernel bias_gradient_cuda{};
const CastKernels cast_cuda{};
const Conv2dKernels conv2d_cuda{};
const DropoutKernels dropout_cuda{};
const ActivationKernels activation_cuda{};
const AddKernels add_cuda{};
const LinearKernels linear_cuda{};
const LossScaleKernels loss_scale_cuda{};
const MixupKernels mixup_cuda{};
const Pool2dKernels pool2d_cuda{};
const ReorderKernels reorder_cuda{};
const SgdKernels sgd_cuda{};
const SoftmaxXentKernels softmax_xent_cuda{};
const TaylorKernels taylor_cuda{};
const Runtime runtime_cuda{};

namespace cuda {

// There is no library to call these with.
void autotune(Library&, PlanFile) {}
std::string describe_plans(Library&) { return ""; }
PlanOptions& plan_options(Library&) {
  static PlanOptions none;
  return none;
}

}  // namespace cuda
}  // namespace hac
