#pragma once
// The layers that hold parameters, named as PyTorch names them under `prefix`.

#include "engine/autograd/ops.h"
#include "engine/nn/module.h"
#include "kernels/ops/linear.h"

namespace hac::nn {

// Parameters are drawn from the stream of their own name, so the same layer starts the same
// whatever else the network holds.

// weight (K, C/groups, R, S): He normal, std = sqrt(2 / (K R S)) (fan out); bias (K) zero.
// normalized: batch norms alone read the output (ops::Conv2dOptions).
class Conv2d : public Module {
 public:
  Conv2d(const std::string& prefix, const Conv2dSpec& spec, bool normalized, std::uint64_t seed,
         Device device = {});
  Var forward(std::span<const Var> inputs) override;

 private:
  ops::Conv2dOptions options_;
  Var weight_, bias_;
};

// weight = gamma 1, bias = beta 0, running_mean 0, running_var 1. Takes (x) or (x, residual).
class BatchNorm2d : public Module {
 public:
  BatchNorm2d(const std::string& prefix, const BatchNormSpec& spec, Device device = {});
  Var forward(std::span<const Var> inputs) override;
  // With a max pool of 2x2 windows behind, in one operation where there is one.
  Var forward_max_pool(const Var& x);
  // The share of a batch in the running statistics, from now on.
  void set_momentum(float momentum) { momentum_ = momentum; }
  // Ranks that each train on a part of one batch (ops::BatchNormOptions); null: this one alone.
  void set_group(DeviceGroup* group) { group_ = group; }

 private:
  ops::BatchNormOptions options() const {
    return {.training = training,
            .activation = spec_.activation,
            .momentum = momentum_,
            .eps = spec_.eps,
            .group = group_};
  }

  BatchNormSpec spec_;
  Var gamma_, beta_;
  Tensor running_mean_, running_var_;
  float momentum_ = ops::BatchNormOptions{}.momentum;
  DeviceGroup* group_ = nullptr;
};

// weight (out, in) and bias (out): uniform in +-1/sqrt(in).
class Linear : public Module {
 public:
  Linear(const std::string& prefix, const LinearSpec& spec, std::uint64_t seed, Device device = {});
  Var forward(std::span<const Var> inputs) override;

 private:
  Var weight_, bias_;
};

// Of elements, or of whole images. Masks are a function of (seed, index of the layer, step).
class Dropout : public Module {
 public:
  Dropout(float p, bool images, std::uint64_t seed)
      : options_{.p = p, .images = images, .seed = seed} {}
  Var forward(std::span<const Var> inputs) override;
  void set_step(std::uint64_t step, Tensor counter = {}) {
    options_.step = step;
    options_.counter = std::move(counter);
  }

 private:
  ops::DropoutOptions options_;
};

}  // namespace hac::nn
