#pragma once
// Every stream of random numbers there is, and tensors filled from them. A number is a function of
// (seed, stream, index) alone (kernels/core/random.h), so two uses that may have the same seed must
// not have the same stream: a new use gets its own line here. Results and resumed trainings rest on
// these numbers; none ever changes.

#include <cstdint>
#include <string_view>

#include "engine/tensor/hash.h"
#include "engine/tensor/tensor.h"

namespace hac {

namespace streams {

// A kind in the highest byte, a count below it: its own stream for each epoch or step.
constexpr std::uint64_t counted(std::uint64_t kind, std::int64_t count) {
  return kind << 56 | static_cast<std::uint64_t>(count);
}

// With the seed of a training:
constexpr std::uint64_t order(std::int64_t epoch) { return counted(1, epoch); }
constexpr std::uint64_t augmentation(std::int64_t epoch) { return counted(2, epoch); }
constexpr std::uint64_t mixup(std::int64_t step) { return counted(3, step); }
constexpr std::uint64_t parameter(std::string_view name) { return fnv1a(name); }
constexpr std::uint64_t holdout = fnv1a("validation");  // which images are held out

// With a seed of their own:
constexpr std::uint64_t dropout(std::uint64_t step) { return step; }           // the layer's
constexpr std::uint64_t synthetic(bool test) { return test ? 1 : 0; }          // the image's index
constexpr std::uint64_t sampled_widths(std::uint64_t layer) { return layer; }  // the sampling's
constexpr std::uint64_t energy_phase = 0;                                      // the measurement's

}  // namespace streams

// Plain f32 tensors of any device; the same values on each and at any number of threads. The stream
// of a tensor is that of its name.
void fill(const Tensor& t, float value);
void fill_normal(const Tensor& t, std::uint64_t seed, std::string_view name, double std);
void fill_uniform(const Tensor& t, std::uint64_t seed, std::string_view name, double bound);

}  // namespace hac
