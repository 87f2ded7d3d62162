#include "engine/optim/sgd.h"

#include "kernels/ops/norms.h"
#include "kernels/ops/sgd.h"

namespace hac {

Sgd::Sgd(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale)
    : Optimizer(std::move(parameters), options, loss_scale, {"momentum"}) {
  if (options.kind != OptimizerKind::lars) return;
  const auto bytes = static_cast<std::int64_t>(parameter_count() * 2 * sizeof(double));
  squares_ = Tensor::zeros({bytes}, Dtype::u8, device());
}

void Sgd::apply(const void* rate, const void* skip) {
  SgdSpec spec{.momentum = static_cast<float>(options_.momentum),
               .weight_decay = static_cast<float>(weight_decay_of(options_)),
               .nesterov = options_.nesterov};
  const bool adapts = squares_.defined();
  if (adapts) {
    spec.trust_coefficient = static_cast<float>(options_.trust_coefficient);
    spec.eps = static_cast<float>(options_.eps);
    float_gradients();
  }
  std::vector<NormSegment> norms;
  std::vector<SgdSegment> segments;
  for (const Operand& p : operands(spec.copy)) {
    segments.push_back({.grad = p.grad,
                        .weight = p.weight,
                        .velocity = slot(0, p.index),
                        .copy = p.copy,
                        .elements = p.elements,
                        .decays = p.decays,
                        .grad_dtype = p.grad_dtype});
    if (!adapts || !p.is_matrix) continue;
    segments.back().squares = as<double>(squares_.data()) + norms.size();
    norms.push_back({p.weight, p.elements});
    norms.push_back({p.grad, p.elements});
  }
  if (segments.empty()) return;
  if (!norms.empty()) {
    norm_kernels.run(&NormKernels::squares, device(), NormSpec{.tensors = std::ssize(norms)},
                     squares_.data(), std::span<const NormSegment>(norms));
  }
  sgd_kernels.run(&SgdKernels::step, device(), spec, rate, skip,
                  std::span<const SgdSegment>(segments));
}

}  // namespace hac
