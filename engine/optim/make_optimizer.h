#pragma once
// The optimiser that the options name.

#include <memory>
#include <vector>

#include "engine/optim/optimizer.h"

namespace hac {

// loss_scale: where the scale of the loss begins; 0 = none (LossScale).
std::unique_ptr<Optimizer> make_optimizer(std::vector<Parameter> parameters,
                                          const OptimizerOptions& options, double loss_scale = 0);

}  // namespace hac
