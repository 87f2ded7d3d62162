#pragma once
// What a network asks of a GPU's memory, kernel by kernel, counted under simt: for
// `hacscale profile --device simt --trace`.

#include "models/model.h"

namespace hac {

// Prints one line a launch of a batch's inference (step = false) or training step. Convolutions and
// products are the vendor's on a GPU and not among them. Throws ConfigError unless the model is on
// simt.
void print_kernel_trace(Model& model, std::int64_t batch, bool step, bool json);

}  // namespace hac
