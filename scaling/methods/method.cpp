#include "scaling/methods/method.h"

#include <fmt/format.h>

#include "kernels/error.h"
#include "models/counters.h"

namespace hac {

namespace {

constexpr int kMisses = 8;
constexpr std::int64_t kLongestWalk = 4096;

}  // namespace

ScaledNetwork largest_within(const std::string& method,
                             const std::function<FamilyMember(std::int64_t)>& member,
                             const LatencyModel& model, const Budget& budget) {
  ScaledNetwork best{.method = method};
  int misses = 0;
  for (std::int64_t i = 0; i <= kLongestWalk; ++i) {
    FamilyMember m = member(i);
    const double ms = model.predict(m.arch);
    const std::int64_t params = count(m.arch).params;
    const bool fits = budget.allows(ms, static_cast<double>(params));
    if (fits || i == 0) {
      best = {method, m.parameter, std::move(m.arch), ms, params, fits};
    }
    if (i == 0 && !fits) return best;
    misses = fits ? 0 : misses + 1;
    if (misses == kMisses) return best;
  }
  throw ConfigError(fmt::format(
      "{}: expected a budget that ends the growth, got a network {} steps on that still meets it "
      "(hint: give a latency limit)",
      method, kLongestWalk));
}

}  // namespace hac
