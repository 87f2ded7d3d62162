#pragma once
// Stochastic gradient descent over a list of named parameters (kernels/sgd.h has the formula).

#include <map>
#include <string>
#include <vector>

#include "engine/nn/module.h"

namespace hac {

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 5e-4;
  bool nesterov = false;
  bool operator==(const SgdOptions&) const = default;
};

class Sgd {
 public:
  Sgd(std::vector<Parameter> parameters, SgdOptions options);
  // Updates every parameter that has a gradient.
  void step(double lr);
  // Its two halves: the rate is written from the host, the update is work of the device alone and
  // can be captured.
  void set_rate(double lr);
  void update();
  // Velocities by name, "momentum.features.0.weight".
  std::map<std::string, Tensor> state() const;
  void load_state(const std::map<std::string, Tensor>& state);

 private:
  std::vector<Parameter> parameters_;
  std::vector<Tensor> velocity_;
  Tensor lr_;  // one element on the parameters' device
  SgdOptions options_;
};

}  // namespace hac
