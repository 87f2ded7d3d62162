#include "engine/nn/layers.h"

#include <cmath>

#include "engine/tensor/random.h"

namespace hac::nn {

Conv2d::Conv2d(const std::string& prefix, const Conv2dSpec& spec, bool normalized,
               std::uint64_t seed, Device device)
    : options_{
          .stride = spec.stride, .pad = spec.pad, .groups = spec.groups, .normalized = normalized} {
  const std::string name = prefix + ".weight";
  const double fan_out = static_cast<double>(spec.k / spec.groups * spec.r * spec.s);
  const Tensor w = Tensor::empty(spec.weight_shape(), Dtype::f32, device);
  fill_normal(w, seed, name, std::sqrt(2 / fan_out));
  weight_ = Var(w.to(weight_layout(device)), true, name);
  parameters.push_back({name, weight_});
  if (spec.bias) {
    bias_ = Var(Tensor::zeros({spec.k}, Dtype::f32, device), true, prefix + ".bias");
    parameters.push_back({bias_.name(), bias_});
  }
}

Var Conv2d::forward(std::span<const Var> inputs) {
  return ops::conv2d(inputs[0], weight_, bias_, options_);
}

BatchNorm2d::BatchNorm2d(const std::string& prefix, const BatchNormSpec& spec, Device device)
    : spec_(spec) {
  const Shape channels{spec.c};
  const Tensor ones = Tensor::zeros(channels, Dtype::f32, device);
  fill(ones, 1);
  gamma_ = Var(ones, true, prefix + ".weight");
  beta_ = Var(Tensor::zeros(channels, Dtype::f32, device), true, prefix + ".bias");
  running_mean_ = Tensor::zeros(channels, Dtype::f32, device);
  running_var_ = Tensor::zeros(channels, Dtype::f32, device);
  fill(running_var_, 1);
  parameters = {{gamma_.name(), gamma_}, {beta_.name(), beta_}};
  buffers = {{prefix + ".running_mean", running_mean_}, {prefix + ".running_var", running_var_}};
}

Var BatchNorm2d::forward(std::span<const Var> inputs) {
  return ops::batch_norm(inputs[0], gamma_, beta_, running_mean_, running_var_,
                         inputs.size() > 1 ? inputs[1] : Var(), options());
}

Var BatchNorm2d::forward_max_pool(const Var& x) {
  return ops::batch_norm_max_pool(x, gamma_, beta_, running_mean_, running_var_, options());
}

Linear::Linear(const std::string& prefix, const LinearSpec& spec, std::uint64_t seed,
               Device device) {
  const double bound = 1 / std::sqrt(static_cast<double>(spec.in));
  const Tensor w = Tensor::empty(spec.weight_shape(), Dtype::f32, device);
  fill_uniform(w, seed, prefix + ".weight", bound);
  weight_ = Var(w, true, prefix + ".weight");
  parameters.push_back({weight_.name(), weight_});
  if (spec.bias) {
    const Tensor b = Tensor::empty({spec.out}, Dtype::f32, device);
    fill_uniform(b, seed, prefix + ".bias", bound);
    bias_ = Var(b, true, prefix + ".bias");
    parameters.push_back({bias_.name(), bias_});
  }
}

Var Linear::forward(std::span<const Var> inputs) { return ops::linear(inputs[0], weight_, bias_); }

Var Dropout::forward(std::span<const Var> inputs) {
  return training ? ops::dropout(inputs[0], options_) : inputs[0];
}

}  // namespace hac::nn
