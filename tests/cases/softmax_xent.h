#pragma once
// The losses that tests check.

#include <vector>

#include "kernels/ops/softmax_xent.h"

namespace hac::cases {

inline std::vector<SoftmaxXentSpec> softmax_xent_odd() {
  std::vector<SoftmaxXentSpec> specs;
  for (const bool soft : {false, true})
    for (const float smoothing : {0.f, 0.1f}) {
      specs.push_back({.n = 1, .classes = 2, .soft = soft, .smoothing = smoothing});
      specs.push_back({.n = 7, .classes = 10, .soft = soft, .smoothing = smoothing});
      specs.push_back({.n = 33, .classes = 1000, .soft = soft, .smoothing = smoothing});
    }
  return specs;
}

}  // namespace hac::cases
