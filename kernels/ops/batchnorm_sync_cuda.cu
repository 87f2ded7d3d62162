// A thread a channel goes through the ranks in order.

#include "kernels/ops/batchnorm_sync.h"

#include "kernels/device/packed.cuh"

namespace hac {
namespace {

using namespace HAC_GPU;

struct SyncRows {
  const float* rows;
  std::int64_t row, stride;
  int ranks;
};

__global__ void combine_kernel(std::int64_t channels, SyncRows in, float* mean, float* var,
                               float* running_mean, float* running_var, float momentum, float* m) {
  wait_for_previous();
  const Offset c = own_element();
  if (c >= channels) return;
  Moments all;
  for (int r = 0; r < in.ranks; ++r) {
    const float* row = in.rows + r * in.row;
    all = with_part(all, load(row + 2 * in.stride), load(row + c), load(row + in.stride + c));
  }
  const float mu = static_cast<float>(all.mean), v = static_cast<float>(all.squares / all.m);
  const float unbiased = static_cast<float>(all.m / (all.m - 1));
  store(mean + c, mu);
  store(var + c, v);
  store(running_mean + c, (1 - momentum) * load(running_mean + c) + momentum * mu);
  store(running_var + c, (1 - momentum) * load(running_var + c) + momentum * unbiased * v);
  if (c == 0) store(m, static_cast<float>(all.m));
}

void combine(Context& ctx, const BatchNormSyncSpec& s, const void* rows, BatchNormStatistics out,
             void* m) {
  const SyncRows in{as<float>(rows), s.statistics(), s.stride(), s.ranks};
  launch(ctx, launch_over("batchnorm_combine", s.c), combine_kernel, s.c, in, as<float>(out.mean),
         as<float>(out.var), as<float>(out.running_mean), as<float>(out.running_var), out.momentum,
         as<float>(m));
}

// (C) each.
struct Correction {
  float *dgamma, *dbeta, *xhat_factor, *offset;
};

__global__ void correct_kernel(std::int64_t channels, SyncRows in, int rank, double own, float eps,
                               const float* gamma, const float* var, const float* m,
                               Correction out) {
  wait_for_previous();
  const Offset c = own_element();
  if (c >= channels) return;
  double gammas = 0, betas = 0;
  for (int r = 0; r < in.ranks; ++r) {
    gammas += load(in.rows + r * in.row + c);
    betas += load(in.rows + r * in.row + in.stride + c);
  }
  const double dgamma = load(in.rows + rank * in.row + c);
  const double dbeta = load(in.rows + rank * in.row + in.stride + c);
  const double scale = load(gamma + c) / sqrt(static_cast<double>(load(var + c)) + eps);
  const double all = load(m);
  store(out.dgamma + c, static_cast<float>(dgamma));
  store(out.dbeta + c, static_cast<float>(dbeta));
  store(out.xhat_factor + c, static_cast<float>(scale * (dgamma / own - gammas / all)));
  store(out.offset + c, static_cast<float>(scale * (dbeta / own - betas / all)));
}

void correct(Context& ctx, const BatchNormSyncSpec& s, const void* rows, const void* gamma,
             const void* var, const void* m, void* dgamma, void* dbeta, void* xhat_factor,
             void* offset) {
  const SyncRows in{as<float>(rows), s.gradients(), s.stride(), s.ranks};
  launch(
      ctx, launch_over("batchnorm_correct", s.c), correct_kernel, s.c, in, s.rank,
      static_cast<double>(s.m), s.eps, as<float>(gamma), as<float>(var), as<float>(m),
      Correction{as<float>(dgamma), as<float>(dbeta), as<float>(xhat_factor), as<float>(offset)});
}

}  // namespace

const BatchNormSyncKernels HAC_GPU_TABLE(batchnorm_sync){.combine = combine, .correct = correct};

}  // namespace hac
