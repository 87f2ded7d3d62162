#include "kernels/cpu/loop.h"
#include "kernels/sgd.h"

namespace hac {
namespace {

void step(Context& ctx, const SgdSpec& s, const void* grad, void* weight, void* velocity) {
  cpu::require_f32(ctx, s);
  const float* dw = static_cast<const float*>(grad);
  float* w = static_cast<float*>(weight);
  float* v = static_cast<float*>(velocity);
  const float lr = s.lr, momentum = s.momentum, decay = s.weight_decay;
  const bool nesterov = s.nesterov;
#pragma omp parallel for simd schedule(static) if (parallel : s.elements > cpu::serial_elements)
  for (std::int64_t i = 0; i < s.elements; ++i) {
    const float g = dw[i] + decay * w[i];
    v[i] = momentum * v[i] + g;
    w[i] -= lr * (nesterov ? g + momentum * v[i] : v[i]);
  }
}

}  // namespace

const SgdKernels sgd_cpu{.step = step};

}  // namespace hac
