// A few floats a channel: on one thread.

#include <cmath>

#include "kernels/cpu/loop.h"
#include "kernels/ops/batchnorm_sync.h"

namespace hac {
namespace {

void combine(Context&, const BatchNormSyncSpec& s, const void* rows, BatchNormStatistics out,
             void* m) {
  const std::int64_t stride = s.stride();
  float *mean = as<float>(out.mean), *var = as<float>(out.var);
  float *running_mean = as<float>(out.running_mean), *running_var = as<float>(out.running_var);
  const float momentum = out.momentum;
  for (std::int64_t c = 0; c < s.c; ++c) {
    Moments all;
    for (int r = 0; r < s.ranks; ++r) {
      const float* row = as<float>(rows) + r * s.statistics();
      all = with_part(all, row[2 * stride], row[c], row[stride + c]);
    }
    const float unbiased = static_cast<float>(all.m / (all.m - 1));
    mean[c] = static_cast<float>(all.mean);
    var[c] = static_cast<float>(all.squares / all.m);
    running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean[c];
    running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased * var[c];
    if (c == 0) *as<float>(m) = static_cast<float>(all.m);
  }
}

void correct(Context&, const BatchNormSyncSpec& s, const void* rows, const void* gamma,
             const void* var, const void* m, void* dgamma, void* dbeta, void* xhat_factor,
             void* offset) {
  const std::int64_t stride = s.stride();
  const double own = static_cast<double>(s.m), all = *as<float>(m);
  for (std::int64_t c = 0; c < s.c; ++c) {
    double gammas = 0, betas = 0;
    for (int r = 0; r < s.ranks; ++r) {
      const float* row = as<float>(rows) + r * s.gradients();
      gammas += row[c];
      betas += row[stride + c];
    }
    const float* row = as<float>(rows) + s.rank * s.gradients();
    const double scale =
        as<float>(gamma)[c] / std::sqrt(static_cast<double>(as<float>(var)[c]) + s.eps);
    as<float>(dgamma)[c] = row[c];
    as<float>(dbeta)[c] = row[stride + c];
    as<float>(xhat_factor)[c] = static_cast<float>(scale * (row[c] / own - gammas / all));
    as<float>(offset)[c] = static_cast<float>(scale * (row[stride + c] / own - betas / all));
  }
}

}  // namespace

HAC_CPU_TABLE(BatchNormSyncKernels, batchnorm_sync_cpu, {.combine = combine, .correct = correct})

}  // namespace hac
