#pragma once
// What makes of the batch norms of several ranks, each of a part of one batch, the batch norm of
// the whole (batchnorm.h; PyTorch's SyncBatchNorm). Parts may differ in size.
//
//   Forward, of every rank's mean_r, biased var_r and m_r = N H W:
//     m = sum m_r, mean = sum m_r mean_r / m, var = sum m_r (var_r + (mean_r - mean)^2) / m
//     (Chan, Golub, LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample
//     Variances, 1979); the running statistics move towards these, with m / (m - 1).
//   Backward, BatchNormKernels' with that mean and var gives dgamma_r, dbeta_r and a dx of the
//   rank's own sums. With those of all it lacks
//     scale (dbeta_r / m_r - sum dbeta / m) + scale (dgamma_r / m_r - sum dgamma / m) xhat
//   with scale = gamma / sqrt(var + eps): forward_eval over dx, of a spec with add, with the
//   factors of xhat as its gamma and the rest as its beta.
//
// In double over the ranks in their order: the same bits on each.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/half.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"
#include "kernels/ops/batchnorm.h"

namespace hac {

struct BatchNormSyncSpec {
  std::int64_t c = 1;
  std::int64_t m = 1;  // values a channel of this rank's part
  int ranks = 1, rank = 0;
  float eps = 1e-5f;

  auto operator<=>(const BatchNormSyncSpec&) const = default;
  std::string str() const {
    return "batchnorm_sync:c" + std::to_string(c) + "m" + std::to_string(m) + ",rank" +
           std::to_string(rank) + "of" + std::to_string(ranks);
  }
  // What a rank gives the others, f32. Forward: mean, at stride() var, at 2 stride() m (a float:
  // 2^-24 of it may be lost). Backward: dgamma, at stride() dbeta. What lies between is not read.
  std::int64_t stride() const { return round_up(c, 16); }  // 64 bytes, as the CPU pads
  std::int64_t statistics() const { return 2 * stride() + 1; }
  std::int64_t gradients() const { return 2 * stride(); }
};

struct BatchNormSyncKernels {
  // rows: (ranks, statistics()). m: one f32, that of all ranks.
  void (*combine)(Context&, const BatchNormSyncSpec&, const void* rows, BatchNormStatistics,
                  void* m);
  // rows: (ranks, gradients()); m: what combine wrote. dgamma, dbeta: this rank's own;
  // xhat_factor and offset: what forward_eval takes as gamma and beta. All (C) f32.
  void (*correct)(Context&, const BatchNormSyncSpec&, const void* rows, const void* gamma,
                  const void* var, const void* m, void* dgamma, void* dbeta, void* xhat_factor,
                  void* offset);
};

HAC_BACKENDS(BatchNormSyncKernels, batchnorm_sync)

// A channel's values so far, and the sum of their squared distances from their mean.
struct Moments {
  double m = 0, mean = 0, squares = 0;
};

// With m more values of that mean and biased variance.
HAC_HOST_DEVICE inline Moments with_part(const Moments& a, double m, double mean, double var) {
  const double all = a.m + m, distance = mean - a.mean;
  return {all, a.mean + distance * (m / all),
          a.squares + m * var + distance * distance * (a.m * m / all)};
}

}  // namespace hac
