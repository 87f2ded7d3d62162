#pragma once
// Tensors filled from the counter-based generator (kernels/random.h). The stream of a tensor is its
// name, so its values depend on (seed, name) alone.

#include <string_view>

#include "engine/tensor.h"

namespace hac {

std::uint64_t stream_of(std::string_view name);  // FNV-1a, 64 bits

// Plain f32 tensors of any device; the same values on each and at any number of threads.
void fill(const Tensor& t, float value);
void fill_normal(const Tensor& t, std::uint64_t seed, std::string_view name, double std);
void fill_uniform(const Tensor& t, std::uint64_t seed, std::string_view name, double bound);

}  // namespace hac
