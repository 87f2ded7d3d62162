#pragma once
// What to do instead of running out of memory: a smaller batch, estimated from the specs.

#include <cstdint>

#include "engine/device/capture.h"
#include "kernels/core/error.h"
#include "models/model.h"

namespace hac {

enum class Work : std::uint8_t { training, inference };

// How many images the memory that is free on the model's device holds beside what is there: of a
// training step all values, which backward reads, the two largest gradients, and beside each
// parameter its gradient and the `kept` tensors of the optimiser and of an average of the weights;
// of inference the two largest values. A recording shares its memory with nothing, and libraries
// need scratch memory that no spec tells: both are left room for.
std::int64_t estimated_batch(const Model& model, Work work, LaunchMode launch, int kept = 0);
// In how many parts of equal size, of two images or more, a training's step on this batch fits
// then, beside the batch's images and a mixture of them: the fewest; 0 = in none.
std::int64_t estimated_parts(const Model& model, LaunchMode launch, int kept, std::int64_t batch);

// The same error with the hint "--batch N may fit, by an estimate", and which --accumulate keeps
// the batch where some parts of it may; or that not even one image may fit.
[[noreturn]] void throw_with_batch(const OutOfMemory& error, std::int64_t estimated,
                                   std::int64_t parts = 0);

}  // namespace hac
