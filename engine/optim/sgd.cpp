#include "engine/optim/sgd.h"

#include "kernels/ops/sgd.h"

namespace hac {

Sgd::Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale)
    : Optimizer(std::move(parameters), options, loss_scale, {"momentum"}) {}

void Sgd::apply(const void* rate, const void* skip) {
  SgdSpec spec{.momentum = static_cast<float>(options_.momentum),
               .weight_decay = static_cast<float>(options_.weight_decay),
               .nesterov = options_.nesterov};
  std::vector<SgdSegment> segments;
  for (const Operand& p : operands(spec.copy)) {
    segments.push_back({.grad = p.grad,
                        .weight = p.weight,
                        .velocity = slot(0, p.index),
                        .copy = p.copy,
                        .elements = p.elements,
                        .decays = p.decays});
  }
  if (segments.empty()) return;
  sgd_kernels.run(&SgdKernels::step, device(), spec, rate, skip,
                  std::span<const SgdSegment>(segments));
}

}  // namespace hac
