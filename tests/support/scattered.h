#pragma once
// Networks as a training might leave them, and how far apart their outputs are.

#include <algorithm>
#include <cmath>

#include "engine/tensor/random.h"
#include "models/model.h"

namespace hac {

// Weights as drawn, but statistics, scales and shifts as a training might leave them.
inline void scatter_batch_norms(Model& model, std::uint64_t seed) {
  for (const auto& [name, tensor] : model.state()) {
    if (name.ends_with("running_mean")) fill_normal(tensor, seed, name, 0.3);
    const bool positive =
        name.ends_with("running_var") || (tensor.shape().rank() == 1 && name.ends_with("weight"));
    if (!positive && !(tensor.shape().rank() == 1 && name.ends_with("bias"))) continue;
    fill_uniform(tensor, seed, name, 0.5);
    if (!positive) continue;
    for (float& x : tensor.floats()) x += 1;
  }
}

// The largest difference as a share of the largest logit.
inline double difference(const Tensor& a, const Tensor& b) {
  const std::vector<float> x = a.to_vector(), y = b.to_vector();
  double worst = 0, scale = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(x[i]) - y[i]));
    scale = std::max(scale, std::abs(static_cast<double>(y[i])));
  }
  return worst / scale;
}

}  // namespace hac
