#include "engine/optim/make_optimizer.h"

#include "engine/optim/adamw.h"
#include "engine/optim/sgd.h"

namespace hac {

std::unique_ptr<Optimizer> make_optimizer(std::vector<Parameter> parameters,
                                          const OptimizerOptions& options, double loss_scale) {
  if (options.kind == OptimizerKind::adamw) {
    return std::make_unique<AdamW>(std::move(parameters), options, loss_scale);
  }
  return std::make_unique<Sgd>(std::move(parameters), options, loss_scale);
}

}  // namespace hac
