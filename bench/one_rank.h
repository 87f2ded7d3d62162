#pragma once
// bench_gpu --part ranks: a training step whose gradients go by NCCL as those of several ranks do,
// in buckets beside backward and as part of the recording, in a group of this process alone: that
// it runs, and what it costs.

#include <nlohmann/json.hpp>

#include "kernels/core/types.h"

namespace hac::bench {

// Milliseconds of VGG11's step, alone and as a rank. Throws Error where the weights differ after
// some steps; null on a GPU without NCCL. tiny: shapes for simt, which sends by way of the host and
// records nothing.
nlohmann::ordered_json ranks_part(Device device, bool tiny);

}  // namespace hac::bench
