#include "data/loader/mixup.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/tensor/random.h"
#include "kernels/core/random.h"

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

// log(l / (1 - l)) of l ~ Beta(alpha, alpha).
double log_odds(double alpha, const Philox& random) {
  std::uint64_t index = 0;
  const double a = log_gamma_variate(random, alpha, index);
  return a - log_gamma_variate(random, alpha, index);
}

// A block that log_odds() does not reach.
constexpr std::uint64_t other_draws = std::uint64_t{1} << 32;

}  // namespace

float mixup_lambda(double alpha, std::uint64_t seed, std::int64_t step) {
  const double odds = log_odds(alpha, Philox{seed, streams::mixup(step)});
  return static_cast<float>(1 / (1 + std::exp(-std::abs(odds))));
}

Mixing cutmix_box(double alpha, std::uint64_t seed, std::int64_t step, std::int64_t height,
                  std::int64_t width) {
  const Philox random{seed, streams::mixup(step)};
  // sqrt(1 - l)
  const double side = std::sqrt(1 / (1 + std::exp(log_odds(alpha, random))));
  const auto words = random.block(other_draws);
  const auto span = [side](std::int64_t size, std::uint32_t word) {
    const auto length = static_cast<std::int64_t>(side * static_cast<double>(size));
    const auto centre = static_cast<std::int64_t>((std::uint64_t{word} * size) >> 32);
    return std::pair(
        static_cast<std::int32_t>(std::clamp<std::int64_t>(centre - length / 2, 0, size)),
        static_cast<std::int32_t>(std::clamp<std::int64_t>(centre + length / 2, 0, size)));
  };
  const auto [top, bottom] = span(height, words[0]);
  const auto [left, right] = span(width, words[1]);
  const double area = static_cast<double>(bottom - top) * (right - left);
  return {.inside = 0,
          .target = static_cast<float>(1 - area / static_cast<double>(height * width)),
          .top = top,
          .left = left,
          .bottom = bottom,
          .right = right};
}

Mixing draw_mixing(double mixup, double cutmix, std::uint64_t seed, std::int64_t step,
                   std::int64_t height, std::int64_t width) {
  const bool drawn = Philox{seed, streams::mixup(step)}.block(other_draws)[2] >> 31;
  if (cutmix > 0 && (mixup == 0 || drawn)) return cutmix_box(cutmix, seed, step, height, width);
  const float lambda = mixup_lambda(mixup, seed, step);
  return {.inside = lambda, .target = lambda};
}

Tensor to_tensor(const Mixing& mixing) {
  const Tensor bytes = Tensor::empty({sizeof mixing}, Dtype::u8);
  std::memcpy(bytes.data(), &mixing, sizeof mixing);
  return bytes;
}

Tensor mixup(const Batch& batch, std::int64_t classes, const Tensor& mixing) {
  const std::int64_t n = batch.size();
  const Device device = batch.images.device();
  MixupSpec spec{.dtype = batch.images.dtype(), .n = n, .classes = classes};
  if (n > 0) {
    spec.elements = batch.images.storage_numel() / n;
    spec.height = batch.images.shape()[2];
    spec.width = batch.images.shape()[3];
    spec.block = block_of(batch.images.layout(), batch.images.shape()[1]);
  }
  const Tensor labels = batch.labels.to(device);
  Tensor soft = Tensor::empty({n, classes}, Dtype::f32, device);
  mixup_kernels.run(&MixupKernels::images, device, spec, mixing.data(), batch.images.data());
  mixup_kernels.run(&MixupKernels::targets, device, spec, mixing.data(), labels.data(),
                    soft.data());
  return soft;
}

}  // namespace hac
