#include "data/loader/mixup.h"

#include <algorithm>
#include <cmath>

#include "engine/tensor/random.h"
#include "kernels/core/random.h"
#include "kernels/ops/mixup.h"

namespace hac {
namespace {

// log of Gamma(alpha) = Gamma(alpha + 1) U^(1 / alpha), the first by Marsaglia and Tsang (ACM TOMS
// 2000). As a logarithm because a small alpha underflows. Takes blocks from `index` on.
double log_gamma_variate(const Philox& random, double alpha, std::uint64_t& index) {
  const double d = alpha + 2.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;; ++index) {
    const double x = random.normal(index);  // words 0 and 1 of the block
    const auto words = random.block(index);
    const double u = (words[2] + 0.5) * 0x1p-32, boost = (words[3] + 0.5) * 0x1p-32;
    const double root = 1 + c * x, v = root * root * root;
    if (root <= 0 || std::log(u) >= 0.5 * x * x + d * (1 - v + std::log(v))) continue;
    ++index;
    return std::log(d * v) + std::log(boost) / alpha;
  }
}

}  // namespace

float mixup_lambda(double alpha, std::uint64_t seed, std::int64_t step) {
  const Philox random{seed, streams::mixup(step)};
  std::uint64_t index = 0;
  const double a = log_gamma_variate(random, alpha, index);
  const double b = log_gamma_variate(random, alpha, index);
  return static_cast<float>(1 / (1 + std::exp(-std::abs(a - b))));
}

Tensor mixup(const Batch& batch, std::int64_t classes, const Tensor& lambda) {
  const std::int64_t n = batch.size();
  const Device device = batch.images.device();
  const MixupSpec spec{.dtype = batch.images.dtype(),
                       .n = n,
                       .elements = n > 0 ? batch.images.storage_numel() / n : 0,
                       .classes = classes};
  const Tensor labels = batch.labels.to(device);
  Tensor soft = Tensor::empty({n, classes}, Dtype::f32, device);
  mixup_kernels.run(&MixupKernels::images, device, spec, lambda.data(), batch.images.data());
  mixup_kernels.run(&MixupKernels::targets, device, spec, lambda.data(), labels.data(),
                    soft.data());
  return soft;
}

}  // namespace hac
