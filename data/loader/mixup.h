#pragma once
// Mixup and CutMix of a batch with itself in reverse order; formulas and sources in
// kernels/ops/mixup.h.

#include <cstdint>

#include "data/loader/loader.h"
#include "kernels/ops/mixup.h"

namespace hac {

// The larger share of a step's pairs: max(l, 1 - l) with l ~ Beta(alpha, alpha), drawn from (seed,
// step) alone. l and 1 - l give the same pairs, and so an image keeps most of its own label.
// alpha > 0.
float mixup_lambda(double alpha, std::uint64_t seed, std::int64_t step);
// With the same l: a box of sqrt(1 - l) of the height and of the width, its centre any pixel, cut
// at the borders. An image keeps its own label to the share of it outside the box.
Mixing cutmix_box(double alpha, std::uint64_t seed, std::int64_t step, std::int64_t height,
                  std::int64_t width);
// What a step does, by the alpha of each; 0 = off. With both, one is drawn, each as often.
Mixing draw_mixing(double mixup, double cutmix, std::uint64_t seed, std::int64_t step,
                   std::int64_t height, std::int64_t width);

// As mixup() reads it, on the CPU.
Tensor to_tensor(const Mixing& mixing);

// Mixes the images in place; the targets (N, classes) f32. mixing: to_tensor() where the images
// are.
Tensor mixup(const Batch& batch, std::int64_t classes, const Tensor& mixing);

}  // namespace hac
