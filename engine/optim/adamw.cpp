#include "engine/optim/adamw.h"

#include <fmt/format.h>

#include "kernels/core/error.h"
#include "kernels/ops/adamw.h"

namespace hac {
namespace {

constexpr const char* step_name = "adamw.step";

}  // namespace

AdamW::AdamW(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale)
    : Optimizer(std::move(parameters), options, loss_scale, {"exp_avg", "exp_avg_sq"}),
      step_(Tensor::zeros({1}, Dtype::i32, device())) {}

std::map<std::string, Tensor> AdamW::state() const {
  std::map<std::string, Tensor> state = Optimizer::state();
  state.emplace(step_name, step_);
  return state;
}

void AdamW::load_state(const std::map<std::string, Tensor>& state) {
  const auto found = state.find(step_name);
  const bool fits = found != state.end() && found->second.shape() == step_.shape() &&
                    found->second.dtype() == Dtype::i32;
  if (!fits || found->second.to(Device{}).as<std::int32_t>()[0] < 0) {
    throw IoError(fmt::format("optimizer state: '{}' is missing or no number of steps", step_name));
  }
  Optimizer::load_state(state);
  step_.copy_from(found->second);
}

void AdamW::apply(const void* rate, const void* skip) {
  AdamWSpec spec{.beta1 = options_.beta1,
                 .beta2 = options_.beta2,
                 .eps = static_cast<float>(options_.eps),
                 .weight_decay = static_cast<float>(weight_decay_of(options_))};
  std::vector<AdamWSegment> segments;
  for (const Operand& p : operands(spec.copy)) {
    segments.push_back({.grad = p.grad,
                        .weight = p.weight,
                        .first = slot(0, p.index),
                        .second = slot(1, p.index),
                        .copy = p.copy,
                        .elements = p.elements,
                        .decays = p.decays,
                        .grad_dtype = p.grad_dtype});
  }
  if (segments.empty()) return;
  adamw_kernels.run(&AdamWKernels::step, device(), spec, rate, step_.data(), skip,
                    std::span<const AdamWSegment>(segments));
}

}  // namespace hac
