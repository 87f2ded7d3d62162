#pragma once

#include <cstdint>

namespace hac {

// How a kernel is launched. One dimension is enough for all of ours.
struct Launch {
  const char* name;       // as errors, traces and profiles show it
  std::int64_t grid = 1;  // blocks, at most 2^31 - 1
  int block = 256;        // threads a block, at most 1024
  bool barriers = true;   // false: no barrier and no shuffle inside (simt skips its fibers)
};

}  // namespace hac
