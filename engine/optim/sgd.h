#pragma once
// Stochastic gradient descent over a list of named parameters (kernels/ops/sgd.h has the formula).

#include <vector>

#include "engine/optim/optimizer.h"

namespace hac {

// Keeps velocities, "momentum.features.0.weight".
class Sgd final : public Optimizer {
 public:
  Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale = 0);

 private:
  void apply(const void* rate, const void* skip) override;
};

}  // namespace hac
