#pragma once
// Resolution (Szegedy et al. 2017): a larger input, the same layers. Parameters do not change as
// long as the head pools globally or flattens a 1x1 map.

#include "scaling/methods/method.h"

namespace hac {

// The largest R >= R0, in steps of `multiple`, within the budget; parameter = R / R0. Operations
// are a staircase in R: multiples of the total stride waste nothing. Takes a latency limit
// (ConfigError where nothing ends the growth).
ScaledNetwork scale_resolution_to(const Architecture& baseline, const LatencyModel& model,
                                  const Budget& budget, std::int64_t multiple = 4);

}  // namespace hac
