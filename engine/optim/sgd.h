#pragma once
// Stochastic gradient descent over a list of named parameters, LARS with it (kernels/ops/sgd.h has
// the formulas).

#include <vector>

#include "engine/optim/optimizer.h"

namespace hac {

// Keeps velocities, "momentum.features.0.weight". LARS adapts tensors of two and more dimensions.
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale = 0);

 private:
  void apply(const void* rate, const void* skip) override;

  Tensor squares_;  // of LARS: of each parameter's weight and gradient, two doubles, as bytes
};

}  // namespace hac
