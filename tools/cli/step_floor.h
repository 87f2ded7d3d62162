#pragma once
// What a training step on a GPU cannot do without, counted from the network: for
// `hacscale profile --device simt --trace step`.

#include <cstdint>

#include "models/model.h"

namespace hac {

struct StepFloor {
  // Of own kernels, each as full as it can be: a batch norm reads its input twice in each direction
  // (its sums come first) and the gradient behind it twice, an activation and a max pool cost no
  // pass of their own, SGD with momentum reads gradients as they were computed, sums of gradients
  // where paths meet cost nothing.
  double own_bytes = 0;
  // Of convolutions and linear layers: multiply-accumulates of outputs, weights' gradients and, but
  // for the first layer, inputs' gradients; and how many products these are.
  double product_macs = 0;
  std::int64_t products = 0;
};

StepFloor step_floor(const Model& model, std::int64_t batch);

}  // namespace hac
