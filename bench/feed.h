#pragma once
// bench_gpu --part feed: photographs of 500 by 375 on their way to a batch of random resized crops
// of 224 on a device, as JPEGs and as bytes, with and without colour jitter; by Loader, whose
// batches are copied, and by StreamingLoader.

#include <nlohmann/json.hpp>

#include "kernels/core/types.h"

namespace hac::bench {

// Images a second, and how far the batches of the two are apart. Throws Error where that is more
// than rounding. tiny: shapes for simt.
nlohmann::ordered_json feed_part(Device device, bool tiny);

}  // namespace hac::bench
