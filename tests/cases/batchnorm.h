#pragma once
// The batch norms that tests check and benchmarks time.

#include <utility>
#include <vector>

#include "kernels/ops/batchnorm.h"

namespace hac::cases {

// Each shape alone, with ReLU, ReLU6, SiLU, a residual, and a residual and ReLU. Never two
// values a channel: then xhat is +-1 and the exact gradient of x is next to nothing, what is left
// is rounding.
inline std::vector<BatchNormSpec> batchnorm_odd() {
  constexpr std::int64_t shapes[][4] = {{2, 1, 3, 5},   {5, 3, 8, 8},  {2, 4, 7, 7},
                                        {1, 7, 31, 33}, {5, 16, 4, 4}, {2, 17, 9, 7},
                                        {2, 33, 5, 11}, {5, 64, 1, 1}, {1, 20, 5, 1}};
  std::vector<BatchNormSpec> specs;
  for (const auto& [n, c, h, w] : shapes)
    for (const auto& [add, activation] : {std::pair(false, Activation::none),
                                          {false, Activation::relu},
                                          {false, Activation::relu6},
                                          {false, Activation::silu},
                                          {true, Activation::none},
                                          {true, Activation::relu}})
      specs.push_back({.n = n, .c = c, .h = h, .w = w, .add = add, .activation = activation});
  return specs;
}

// A few of them, and maps of which a thread has several rows, by vectors and one channel at a time.
inline std::vector<BatchNormSpec> batchnorm_meeting() {
  std::vector<BatchNormSpec> specs = batchnorm_odd();
  std::erase_if(specs, [](const BatchNormSpec& s) { return s.c != 4 && s.c != 16; });
  specs.push_back({.n = 1, .c = 256, .h = 47, .w = 47, .activation = Activation::silu});
  specs.push_back({.n = 1, .c = 33, .h = 47, .w = 47, .activation = Activation::relu});
  return specs;
}

}  // namespace hac::cases
