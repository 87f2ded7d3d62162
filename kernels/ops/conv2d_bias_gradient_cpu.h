#pragma once
// The gradient of a convolution's bias. For .cpp files that end in HAC_CPU_TABLE.

#include "kernels/cpu/lanes.h"
#include "kernels/ops/conv2d.h"

namespace hac::cpu {
namespace {

// db[k] = the sum of dy, in blocks of `lanes`, over images and pixels; a block of channels a
// thread.
inline void bias_gradient(const Conv2dSpec& s, const float* dy, float* db) {
  const std::int64_t blocks = ceil_div(s.k, lanes), hw = s.oh() * s.ow();
#pragma omp parallel for schedule(static)
  for (std::int64_t block = 0; block < blocks; ++block) {
    double sums[lanes] = {};
    for (std::int64_t n = 0; n < s.n; ++n) {
      const float* const plane = dy + (n * blocks + block) * hw * lanes;
      Lanes sum{};
      for (std::int64_t i = 0; i < hw; ++i) sum += load(plane + i * lanes);
      for (int l = 0; l < lanes; ++l) sums[l] += sum[l];
    }
    for (std::int64_t l = 0; l < lanes && block * lanes + l < s.k; ++l) {
      db[block * lanes + l] = static_cast<float>(sums[l]);
    }
  }
}

}  // namespace
}  // namespace hac::cpu
