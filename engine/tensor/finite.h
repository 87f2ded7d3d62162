#pragma once
// Whether many tensors are finite, with one wait for a device.

#include <optional>
#include <span>

#include "engine/tensor/tensor.h"

namespace hac {

// The place of the first that is not; all are f32 and on one device.
std::optional<std::size_t> first_not_finite(std::span<const Tensor> tensors);

}  // namespace hac
