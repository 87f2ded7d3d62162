#pragma once
// The operations element by element that tests check and benchmarks time.

#include <vector>

#include "kernels/ops/elementwise.h"

namespace hac::cases {

inline std::vector<Shape> elementwise_shapes() {
  return {{1},           {7, 33},       {2, 1, 3, 5},   {1, 3, 31, 33},
          {5, 16, 4, 4}, {2, 17, 9, 7}, {2, 33, 31, 33}};
}

inline std::vector<ActivationSpec> activation_odd() {
  std::vector<ActivationSpec> specs;
  for (const Shape& shape : elementwise_shapes()) {
    for (const Activation a : {Activation::relu, Activation::relu6, Activation::silu}) {
      specs.push_back({.activation = a, .shape = shape});
    }
  }
  return specs;
}

inline std::vector<AddSpec> add_odd() {
  std::vector<AddSpec> specs;
  for (const Shape& shape : elementwise_shapes()) specs.push_back({.shape = shape});
  return specs;
}

inline std::vector<DropoutSpec> dropout_odd() {
  std::vector<DropoutSpec> specs;
  for (const Shape& shape : {Shape{1}, Shape{5, 7}, Shape{33, 512}, Shape{2, 3, 5, 5},
                             Shape{2, 17, 31, 33}, Shape{5, 7, 1, 1}, Shape{1, 33, 3, 1}}) {
    for (const float p : {0.f, 0.3f, 0.5f}) {
      for (const bool images : {false, true}) {
        specs.push_back({.shape = shape, .p = p, .images = images, .seed = 77, .offset = 5});
      }
    }
  }
  return specs;
}

}  // namespace hac::cases
