#pragma once
// The poolings that tests check and benchmarks time.

#include <vector>

#include "kernels/ops/pool2d.h"

namespace hac::cases {

inline std::vector<Pool2dSpec> pool2d_odd() {
  std::vector<Pool2dSpec> specs;
  for (const PoolMode mode : {PoolMode::max, PoolMode::avg}) {
    const auto add = [&](std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w,
                         std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
      specs.push_back({.mode = mode, .n = n, .c = c, .h = h, .w = w, .kernel = kernel});
      specs.back().stride = stride;
      specs.back().pad = pad;
    };
    add(2, 1, 8, 8, 2, 2, 0);
    add(1, 3, 31, 33, 3, 2, 1);
    add(5, 7, 5, 7, 2, 2, 0);
    add(2, 16, 9, 9, 3, 2, 1);
    add(2, 17, 31, 33, 3, 2, 1);
    add(1, 33, 6, 6, 3, 1, 1);
    add(2, 4, 7, 7, 5, 3, 2);
    add(2, 20, 4, 4, 4, 1, 0);
    add(1, 17, 3, 3, 1, 2, 0);
    add(2, 33, 7, 9, 3, 3, 0);
    add(1, 16, 32, 32, 2, 2, 0);
    add(2, 5, 3, 3, 1, 1, 0);
  }
  for (const std::int64_t c : {1, 3, 7, 16, 17, 33})
    specs.push_back({.mode = PoolMode::global_avg, .n = 2, .c = c, .h = 7, .w = 5});
  specs.push_back({.mode = PoolMode::global_avg, .n = 5, .c = 20, .h = 1, .w = 1});
  specs.push_back({.mode = PoolMode::global_avg, .n = 1, .c = 33, .h = 31, .w = 33});
  return specs;
}

}  // namespace hac::cases
