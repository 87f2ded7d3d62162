#pragma once
// Softmax cross-entropy, averaged over the batch.
//
//   target q = (1 - smoothing) * t + smoothing / classes, t = one-hot label or given soft label
//   loss = -1/m sum_i sum_j q[i,j] log softmax(x[i])[j]
//   dx[i,j] = (softmax(x[i])[j] * sum_j q[i,j] - q[i,j]) * dloss / m
//
// m is n, or the images of a batch of which these n are a part: the losses of its parts add up.
// Shapes: logits (n, classes) plain, of the spec's dtype (f32 on the CPU); labels (n) i32 or soft
// (n, classes) f32; loss () f32.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

struct SoftmaxXentSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, classes = 2;
  bool soft = false;  // targets are f32 probabilities instead of i32 labels
  float smoothing = 0;
  std::int64_t batch = 0;  // m; 0 = n
  std::int64_t divisor() const { return batch > 0 ? batch : n; }
  auto operator<=>(const SoftmaxXentSpec&) const = default;
  std::string str() const;
  // Throws ShapeError naming the image of n whose label is not in [0, classes).
  void check_labels(const std::int32_t* labels) const;
};

struct SoftmaxXentKernels {
  // probs (n, classes) f32 receives the softmax, kept for backward. A label outside [0, classes) is
  // a ShapeError on the CPU and a NaN in the loss elsewhere.
  void (*forward)(Context&, const SoftmaxXentSpec&, const void* logits, const void* target,
                  void* probs, void* loss);
  void (*backward)(Context&, const SoftmaxXentSpec&, const void* probs, const void* target,
                   const void* dloss, void* dlogits);
};

HAC_BACKENDS(SoftmaxXentKernels, softmax_xent)

}  // namespace hac
