#pragma once
// Convolution as one matrix product for each tap (u, v) of the kernel, over the output pixels whose
// tap lies inside the image:
//   y[p, k] = bias[k] + sum_{u,v} sum_c x[pixel of p under (u, v), c] w[u, v, c, k]
// No product with padding is done and no weight is read twice from memory, so for the small maps at
// the end of a network, batch 1, the time is that of streaming the weights. Kept in bf16 they are
// half as many bytes; each is widened to f32 where it is multiplied.

#include <vector>

#include "kernels/core/half.h"
#include "kernels/ops/conv2d.h"

namespace hac::cpu {

// What a spec of pass forward or inference takes, pixels counted over all images.
struct Taps {
  struct Reach {
    std::int32_t from,
        to;  // a pixel of x under the tap, a pixel of y counted from its chunk's first
  };
  static constexpr std::int64_t chunk = 48;  // pixels of y whose sums stay in the first-level cache
  std::int64_t chunks = 0;
  std::vector<Reach> reached;       // by chunk, then by tap
  std::vector<std::int64_t> first;  // (chunks r s + 1), indices into reached

  std::size_t weights = 0;  // elements, packed
  std::size_t work = 0;     // floats
};

// f32, forward or inference, no groups, both operands in blocks of vector_lanes().
bool has_taps(const Conv2dSpec& spec);
Taps taps(const Conv2dSpec& spec);

template <class Weight>
struct TapsKernels {
  // w (K, C, R, S) to (pairs of blocks of K, R S, C, K of the pair).
  void (*pack)(const Conv2dSpec&, const float* w, Weight* packed);
  // y holds what is added to where the spec adds; bias may be null.
  void (*convolve)(const Conv2dSpec&, const Taps&, const float* x, const Weight* packed,
                   const float* bias, float* y, float* work);
};
extern const TapsKernels<float> taps_loops_f32;
extern const TapsKernels<bf16> taps_loops_bf16;

}  // namespace hac::cpu
