#pragma once
// The convolutions that tests check and benchmarks time.

#include <vector>

#include "kernels/ops/conv2d.h"

namespace hac::cases {

// Odd on purpose: channels beside block multiples, odd sizes, every kind of grouping.
inline std::vector<Conv2dSpec> conv2d_odd() {
  return {
      // channels around the block, 3x3
      {.n = 2, .c = 1, .h = 9, .w = 7, .k = 3},
      {.n = 1, .c = 3, .h = 31, .w = 33, .k = 7, .bias = true},
      {.n = 5, .c = 3, .h = 8, .w = 8, .k = 16},
      {.n = 2, .c = 7, .h = 7, .w = 5, .k = 16, .bias = true},
      {.n = 2, .c = 16, .h = 10, .w = 9, .k = 17, .bias = true},
      {.n = 1, .c = 17, .h = 31, .w = 33, .k = 33},
      {.n = 2, .c = 33, .h = 6, .w = 11, .k = 16, .bias = true},
      {.n = 2, .c = 16, .h = 8, .w = 8, .k = 3, .bias = true},
      {.n = 5, .c = 4, .h = 4, .w = 4, .k = 4},
      {.n = 1, .c = 32, .h = 14, .w = 14, .k = 32},
      // kernel 1, 5, 7; strides; padding from none to "same"
      {.n = 2, .c = 17, .h = 9, .w = 9, .k = 33, .r = 1, .s = 1, .pad = 0, .bias = true},
      {.n = 2, .c = 33, .h = 9, .w = 8, .k = 17, .r = 1, .s = 1, .stride = 2, .pad = 0},
      {.n = 1, .c = 16, .h = 1, .w = 1, .k = 7, .r = 1, .s = 1, .pad = 0},
      {.n = 2, .c = 3, .h = 12, .w = 11, .k = 16, .r = 5, .s = 5, .pad = 2},
      {.n = 1, .c = 16, .h = 13, .w = 15, .k = 7, .r = 5, .s = 5, .stride = 2, .pad = 1},
      {.n = 1, .c = 3, .h = 31, .w = 33, .k = 17, .r = 7, .s = 7, .stride = 2, .pad = 3},
      {.n = 2, .c = 7, .h = 9, .w = 9, .k = 16, .r = 7, .s = 7, .pad = 0, .bias = true},
      {.n = 2, .c = 16, .h = 31, .w = 33, .k = 16, .stride = 2},
      {.n = 1, .c = 7, .h = 10, .w = 10, .k = 33, .stride = 3, .pad = 0},
      {.n = 2, .c = 7, .h = 8, .w = 6, .k = 5, .r = 1, .s = 3, .pad = 0},
      {.n = 1, .c = 16, .h = 2, .w = 2, .k = 33, .bias = true},
      // groups: depthwise, block-aligned, straddling blocks, channel multiplier
      {.n = 2, .c = 16, .h = 9, .w = 9, .k = 16, .groups = 16},
      {.n = 1, .c = 17, .h = 9, .w = 7, .k = 17, .stride = 2, .groups = 17, .bias = true},
      {.n = 2, .c = 3, .h = 7, .w = 7, .k = 3, .groups = 3},
      {.n = 1, .c = 33, .h = 8, .w = 8, .k = 33, .r = 5, .s = 5, .pad = 2, .groups = 33},
      {.n = 2, .c = 32, .h = 7, .w = 9, .k = 32, .groups = 2, .bias = true},
      {.n = 2, .c = 6, .h = 7, .w = 7, .k = 10, .groups = 2, .bias = true},
      {.n = 1, .c = 12, .h = 8, .w = 8, .k = 20, .stride = 2, .groups = 4},
      {.n = 2, .c = 16, .h = 6, .w = 6, .k = 32, .groups = 16},
      {.n = 1, .c = 34, .h = 5, .w = 5, .k = 34, .r = 1, .s = 1, .pad = 0, .groups = 2},
      {.n = 1, .c = 3, .h = 5, .w = 5, .k = 6, .groups = 3},
      {.n = 1, .c = 32, .h = 5, .w = 5, .k = 2, .groups = 2},
  };
}

// Square maps and kernels, padded to keep the size.
inline Conv2dSpec square(std::int64_t n, std::int64_t c, std::int64_t k, std::int64_t size,
                         std::int64_t kernel, std::int64_t stride) {
  Conv2dSpec s{.n = n, .c = c, .h = size, .w = size, .k = k, .r = kernel, .s = kernel};
  s.stride = stride;
  s.pad = kernel / 2;
  return s;
}

// What the networks of the zoo are made of, at widths that scaling visits.
inline std::vector<Conv2dSpec> conv2d_zoo(std::int64_t batch) {
  std::vector<Conv2dSpec> specs;
  const auto add = [&](auto... sizes) { specs.push_back(square(batch, sizes...)); };
  add(3, 64, 32, 3, 1);  // VGG11 on CIFAR, first to last
  add(64, 128, 16, 3, 1);
  add(256, 256, 8, 3, 1);
  add(512, 512, 2, 3, 1);
  add(3, 16, 32, 3, 1);  // slim and odd widths
  add(16, 17, 32, 3, 1);
  add(24, 70, 16, 3, 1);
  add(33, 90, 8, 3, 1);
  add(1, 16, 32, 3, 1);    // grey images
  add(64, 128, 32, 3, 2);  // residual nets: down-sampling and projection
  add(64, 128, 32, 1, 2);
  add(70, 141, 16, 1, 1);
  add(3, 64, 64, 7, 2);  // ImageNet stem
  return specs;
}

}  // namespace hac::cases
