#pragma once
// AdamW over a list of named parameters (kernels/ops/adamw.h has the formula).

#include <vector>

#include "engine/optim/optimizer.h"

namespace hac {

// Keeps both moments under PyTorch's names, "exp_avg.features.0.weight" and "exp_avg_sq.*", and
// "adamw.step", the steps so far without those that the loss scale left out: one i32.
class AdamW final : public Optimizer {
 public:
  AdamW(std::vector<Parameter> parameters, const OptimizerOptions& options, double loss_scale = 0);
  std::map<std::string, Tensor> state() const override;
  void load_state(const std::map<std::string, Tensor>& state) override;

 private:
  void apply(const void* rate, const void* skip) override;

  Tensor step_;
};

}  // namespace hac
