#pragma once

#include <memory>

#include "data/loader/loader.h"

namespace hac {

// On the CPU a Loader. On another device a ResidentLoader where that can do all that is random and
// the set takes at most 2 GiB and a quarter of the device's memory limit, else a StreamingLoader;
// where memory does not suffice for one, the next of the three.
std::unique_ptr<BatchSource> make_loader(DatasetPtr dataset, const LoaderConfig& config,
                                         Device device);

}  // namespace hac
