#include "scaling/methods/budget.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/io/text.h"
#include "kernels/core/error.h"

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

Budget resolve(const Limit& latency, const Limit& params, double baseline_ms,
               std::int64_t baseline_params) {
  if (!(baseline_ms > 0) || !std::isfinite(baseline_ms)) {
    throw ConfigError(
        fmt::format("latency model: expected a prediction above 0 ms for the baseline, got {} ms "
                    "(hint: its times were not measured)",
                    baseline_ms));
  }
  const auto count = static_cast<double>(baseline_params);
  Budget budget;
  budget.latency_ms = latency.factor ? latency.value * baseline_ms : latency.value;
  // A budget in parameters is a whole number; 1.3x of an odd count is not.
  budget.params = std::floor(params.factor ? params.value * count : params.value);
  if (budget.latency_ms < baseline_ms) {
    throw ConfigError(fmt::format(
        "latency budget: expected at least the baseline's predicted {:.4g} ms, got {:.4g} ms",
        baseline_ms, budget.latency_ms));
  }
  if (budget.params < count) {
    throw ConfigError(
        fmt::format("parameter budget: expected at least the baseline's {}, got {:.0f}",
                    baseline_params, budget.params));
  }
  return budget;
}

}  // namespace hac
