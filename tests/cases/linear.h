#pragma once
// The fully connected layers that tests check and benchmarks time.

#include <vector>

#include "kernels/ops/linear.h"

namespace hac::cases {

inline std::vector<LinearSpec> linear_odd() {
  std::vector<LinearSpec> specs;
  for (const bool bias : {true, false}) {
    specs.push_back({.n = 1, .in = 1, .out = 1, .bias = bias});
    specs.push_back({.n = 5, .in = 7, .out = 3, .bias = bias});
    specs.push_back({.n = 2, .in = 33, .out = 17, .bias = bias});
    specs.push_back({.n = 1, .in = 512, .out = 10, .bias = bias});
    specs.push_back({.n = 33, .in = 129, .out = 100, .bias = bias});
  }
  return specs;
}

}  // namespace hac::cases
