// Stands in for every *_cuda table in a build without CUDA: empty, so that asking for the device is
// a clear error and nothing else in the code needs to know.

#include "kernels/augment.h"
#include "kernels/batchnorm.h"
#include "kernels/conv2d.h"
#include "kernels/cuda/bias_gradient.h"
#include "kernels/cuda/options.h"
#include "kernels/elementwise.h"
#include "kernels/error.h"
#include "kernels/linear.h"
#include "kernels/loss_scale.h"
#include "kernels/mixup.h"
#include "kernels/pool2d.h"
#include "kernels/runtime.h"
#include "kernels/sgd.h"
#include "kernels/softmax_xent.h"
#include "kernels/taylor.h"
#include "kernels/tuned_plans.h"

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
