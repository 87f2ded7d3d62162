#include "models/deploy/folding.h"

#include <cmath>

namespace hac {
namespace {

void fold(const std::map<std::string, Tensor>& state, const BatchNormSpec& spec,
          const std::string& name, const ConvWeights& into) {
  const Tensor gammas = host_copy(state, name + ".weight"),
               betas = host_copy(state, name + ".bias");
  const Tensor means = host_copy(state, name + ".running_mean");
  const Tensor vars = host_copy(state, name + ".running_var");
  const float *gamma = gammas.as<float>(), *beta = betas.as<float>();
  const float *mean = means.as<float>(), *var = vars.as<float>();
  float *w = into.weight.as<float>(), *b = into.bias.as<float>();
  const std::int64_t run = into.weight.numel() / spec.c;
  for (std::int64_t k = 0; k < spec.c; ++k) {
    const double scale = gamma[k] / std::sqrt(static_cast<double>(var[k]) + spec.eps);
    for (std::int64_t i = k * run; i < (k + 1) * run; ++i) {
      w[i] = static_cast<float>(w[i] * scale);
    }
    b[k] = static_cast<float>((static_cast<double>(b[k]) - mean[k]) * scale + beta[k]);
  }
}

}  // namespace

Tensor host_copy(const std::map<std::string, Tensor>& state, const std::string& name) {
  const Tensor host = Tensor::empty(state.at(name).shape());
  host.copy_from(state.at(name));
  return host;
}

ConvWeights folded_weights(const std::map<std::string, Tensor>& state, const Op& op) {
  ConvWeights weights{.weight = host_copy(state, op.name + ".weight")};
  const std::string bias = op.name + ".bias";
  weights.bias = state.contains(bias) ? host_copy(state, bias)
                                      : Tensor::zeros({std::get<Conv2dSpec>(op.spec).k});
  for (const Op& norm : op.folded) {
    fold(state, std::get<BatchNormSpec>(norm.spec), norm.name, weights);
  }
  return weights;
}

}  // namespace hac
