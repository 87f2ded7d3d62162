#pragma once
// Stochastic gradient descent over a list of named parameters (kernels/ops/sgd.h has the formula).

#include <map>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "engine/nn/module.h"
#include "engine/optim/loss_scale.h"

namespace hac {

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 5e-4;
  bool nesterov = false;

  Fields fields() {
    return Fields()
        .add("momentum", momentum, {.low = 0, .high = 1, .below = true},
             "of stochastic gradient descent")
        .add("weight_decay", weight_decay, {0}, "on every parameter")
        .add("nesterov", nesterov, "Nesterov's momentum");
  }
  bool operator==(const SgdOptions&) const = default;
};

class Sgd {
 public:
  // loss_scale: where the scale of the loss begins; 0 = none (LossScale).
  Sgd(std::vector<Parameter> parameters, SgdOptions options, double loss_scale = 0);
  // Updates every parameter that has a gradient, and the 16-bit copies of those that keep one.
  void step(double lr);
  // Its parts: the rate is written from the host, the others are work of the device alone and can
  // be captured. Between unscale and update the gradients are those of the loss itself.
  void set_rate(double lr);
  void unscale();
  void update();
  const LossScale& loss_scale() const { return loss_scale_; }
  // Velocities by name, "momentum.features.0.weight", and the loss scale's.
  std::map<std::string, Tensor> state() const;
  void load_state(const std::map<std::string, Tensor>& state);

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> velocity_;
  Tensor lr_;  // one element on the parameters' device
  SgdOptions options_;
  LossScale loss_scale_;
};

}  // namespace hac
