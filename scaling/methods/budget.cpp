#include "scaling/methods/budget.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

#include "kernels/core/error.h"

namespace hac {

namespace {

struct Unit {
  std::string_view suffix;
  double times;
  bool factor;
};

Limit parse(const std::string& text, const char* what, const char* forms,
            std::initializer_list<Unit> units) {
  if (text.empty()) return {};
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : units) {
    if (error != std::errc{} || suffix != unit.suffix) continue;
    const double value = number * unit.times;
    if (std::isfinite(value) && value > 0) return {value, unit.factor};
  }
  throw ConfigError(fmt::format("{}: expected {}, got '{}'", what, forms, text.substr(0, 40)));
}

}  // namespace

Limit parse_latency_limit(const std::string& text) {
  return parse(text, "latency budget", "a factor like 1.05x or milliseconds like 3.2ms",
               {{"x", 1, true}, {"ms", 1, false}});
}

Limit parse_params_limit(const std::string& text) {
  return parse(
      text, "parameter budget", "a factor like 1.3x or a count like 12.9M, 500k or 123456",
      {{"x", 1, true}, {"", 1, false}, {"k", 1e3, false}, {"M", 1e6, false}, {"G", 1e9, false}});
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
