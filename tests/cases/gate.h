#pragma once
// The gates that tests check and benchmarks time.

#include <vector>

#include "kernels/ops/gate.h"

namespace hac::cases {

inline std::vector<GateSpec> gate_odd() {
  return {{.n = 2, .c = 1, .h = 3, .w = 5},   {.n = 1, .c = 3, .h = 31, .w = 33},
          {.n = 5, .c = 16, .h = 4, .w = 4},  {.n = 2, .c = 17, .h = 9, .w = 7},
          {.n = 3, .c = 20, .h = 1, .w = 1},  {.n = 2, .c = 96, .h = 14, .w = 14},
          {.n = 2, .c = 300, .h = 3, .w = 2}, {.n = 1, .c = 8, .h = 40, .w = 41}};
}

}  // namespace hac::cases
