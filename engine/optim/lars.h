#pragma once
// LARS over a list of named parameters (kernels/ops/lars.h has the formula).

#include <vector>

#include "engine/optim/optimizer.h"

namespace hac {

// Keeps velocities, "momentum.features.0.weight".
class Lars final : public Optimizer {
 public:
  Lars(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale = 0);

 private:
  void apply(const void* rate, const void* skip) override;

  Tensor squares_;  // of each parameter's weight and gradient: two doubles, as bytes
};

}  // namespace hac
