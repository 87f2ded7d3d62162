#pragma once
// The scaling methods that HACScale is compared with. Each has one parameter (a multiplier) and is
// taken to the same budget: the largest parameter whose network meets L and M under the same
// latency model.

#include <cstdint>
#include <functional>
#include <string>

#include "models/architecture.h"
#include "scaling/budget.h"
#include "scaling/latency.h"

namespace hac {

struct ScaledNetwork {
  std::string method;    // uniform-width | resolution | depth
  double parameter = 1;  // w, r or d
  Architecture arch;
  double latency_ms = 0;  // predicted
  std::int64_t params = 0;
  bool feasible = true;  // false: the baseline itself is above the budget, and is returned
};

// One network of a family that grows with its index; index 0 is the baseline.
struct FamilyMember {
  double parameter = 1;
  Architecture arch;
};

// Walks the family upwards and keeps the last member within the budget. Latency is a staircase
// that may dip, so the walk ends after eight misses in a row, or where it cannot grow any more.
// Throws ConfigError when the budget has no finite limit that the family can reach.
ScaledNetwork largest_within(const std::string& method,
                             const std::function<FamilyMember(std::int64_t)>& member,
                             const LatencyModel& model, const Budget& budget);

}  // namespace hac
