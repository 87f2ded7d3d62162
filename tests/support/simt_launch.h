#pragma once

#include "kernels/device/device.cuh"
#include "tests/support/simt_fixtures.h"

namespace hac::HAC_GPU {

constexpr unsigned full = 0xFFFFFFFFu;  // all lanes of a warp

template <class... Args>
void run(const char* name, std::int64_t grid, int block, void (*kernel)(Args...),
         std::type_identity_t<Args>... args) {
  launch(context(), {.name = name, .grid = grid, .block = block}, kernel, args...);
}

}  // namespace hac::HAC_GPU
