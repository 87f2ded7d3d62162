#include "engine/optim/lars.h"

#include "kernels/ops/lars.h"
#include "kernels/ops/norms.h"

namespace hac {

Lars::Lars(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale)
    : Optimizer(std::move(parameters), options, loss_scale, {"momentum"}),
      squares_(Tensor::zeros({static_cast<std::int64_t>(parameter_count() * 2 * sizeof(double))},
                             Dtype::u8, device())) {}

void Lars::apply(const void* rate, const void* skip) {
  LarsSpec spec{.momentum = static_cast<float>(options_.momentum),
                .weight_decay = static_cast<float>(options_.weight_decay),
                .trust_coefficient = static_cast<float>(options_.trust_coefficient),
                .eps = static_cast<float>(options_.eps),
                .nesterov = options_.nesterov};
  double* squares = as<double>(squares_.data());
  std::vector<NormSegment> norms;
  std::vector<LarsSegment> segments;
  for (const Operand& p : operands(spec.copy)) {
    segments.push_back({.grad = p.grad,
                        .weight = p.weight,
                        .velocity = slot(0, p.index),
                        .copy = p.copy,
                        .squares = p.is_matrix ? squares + norms.size() : nullptr,
                        .elements = p.elements,
                        .decays = p.decays});
    if (!p.is_matrix) continue;
    norms.push_back({p.weight, p.elements});
    norms.push_back({p.grad, p.elements});
  }
  if (segments.empty()) return;
  norm_kernels.run(&NormKernels::squares, device(), NormSpec{.tensors = std::ssize(norms)},
                   squares_.data(), std::span<const NormSegment>(norms));
  lars_kernels.run(&LarsKernels::step, device(), spec, rate, skip,
                   std::span<const LarsSegment>(segments));
}

}  // namespace hac
