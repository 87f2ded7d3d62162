#pragma once
// Mixup of a batch with itself in reverse order; formula and source in kernels/ops/mixup.h.

#include <cstdint>

#include "data/loader/loader.h"

namespace hac {

// The larger share of a step's pairs: max(l, 1 - l) with l ~ Beta(alpha, alpha), drawn from (seed,
// step) alone. l and 1 - l give the same pairs, and so an image keeps most of its own label.
// alpha > 0.
float mixup_lambda(double alpha, std::uint64_t seed, std::int64_t step);

// Mixes the images in place; the targets (N, classes) f32. lambda: one f32 on the images' device.
Tensor mixup(const Batch& batch, std::int64_t classes, const Tensor& lambda);

}  // namespace hac
