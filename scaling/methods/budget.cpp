#include "scaling/methods/budget.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"

namespace hac {

namespace {

Limit parse(const std::string& text, const char* what, const char* forms,
            std::initializer_list<Unit> units) {
  if (text.empty()) return {};
  const auto quantity = parse_quantity(text, units);
  if (quantity) return {quantity->first, quantity->second == "x"};
  throw ConfigError(fmt::format("{}: expected {}, got '{}'", what, forms, text.substr(0, 40)));
}

}  // namespace

Limit parse_latency_limit(const std::string& text) {
  return parse(text, "latency budget", "a factor like 1.05x or milliseconds like 3.2ms",
               {{"x"}, {"ms"}});
}

Limit parse_params_limit(const std::string& text) {
  return parse(text, "parameter budget", "a factor like 1.3x or a count like 12.9M, 500k or 123456",
               {{"x"}, {""}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}});
}

Limit parse_memory_limit(const std::string& text) {
  constexpr double k = 1024;
  return parse(text, "memory budget", "a factor like 1.5x or bytes like 64MiB, 500KiB or 123456",
               {{"x"}, {""}, {"KiB", k}, {"MiB", k * k}, {"GiB", k * k * k}});
}

NetworkCost cost_of(const Architecture& arch, const LatencyModel& model) {
  const Counters counted = count(arch);
  return {.latency_ms = model.predict(arch),
          .params = counted.params,
          .memory_bytes = counted.weight_bytes + counted.peak_activation_bytes};
}

Budget resolve(const BudgetLimits& limits, const NetworkCost& baseline) {
  const double ms = baseline.latency_ms;
  if (!(ms > 0) || !std::isfinite(ms)) {
    throw ConfigError(
        fmt::format("latency model: expected a prediction above 0 ms for the baseline, got {} ms "
                    "(hint: its times were not measured)",
                    ms));
  }
  // A budget in parameters or bytes is a whole number; 1.3x of an odd count is not.
  const auto whole = [](const Limit& limit, const char* what, std::int64_t least) {
    const auto base = static_cast<double>(least);
    const double value = std::floor(limit.factor ? limit.value * base : limit.value);
    if (value >= base) return value;
    throw ConfigError(fmt::format("{} budget: expected at least the baseline's {}, got {:.0f}",
                                  what, least, value));
  };
  Budget budget;
  budget.latency_ms = limits.latency.factor ? limits.latency.value * ms : limits.latency.value;
  if (budget.latency_ms < ms) {
    throw ConfigError(fmt::format(
        "latency budget: expected at least the baseline's predicted {:.4g} ms, got {:.4g} ms", ms,
        budget.latency_ms));
  }
  budget.params = whole(limits.params, "parameter", baseline.params);
  budget.memory_bytes = whole(limits.memory, "memory", baseline.memory_bytes);
  return budget;
}

}  // namespace hac
