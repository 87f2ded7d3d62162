#include "scaling/experiment/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/methods/method.h"

namespace hac {
namespace {

void require(bool ok, const char* key, const char* expected) {
  if (!ok) throw ConfigError(fmt::format("recipe '{}': expected {}", key, expected));
}

// Each is a training; the same one twice would be counted as two, with no spread between them.
void require_seeds(const std::vector<std::uint64_t>& seeds, const std::string& key) {
  require(!seeds.empty(), key.c_str(), "at least one seed");
  const std::set<std::uint64_t> different(seeds.begin(), seeds.end());
  if (different.size() == seeds.size()) return;
  throw ConfigError(
      fmt::format("recipe '{}': expected different seeds, got [{}]", key, fmt::join(seeds, ", ")));
}

// A factor below 1 is known to be below the baseline before anything is measured.
void validate(const Limit& limit, const char* what) {
  if (!limit.factor || limit.value >= 1) return;
  throw ConfigError(
      fmt::format("{} budget: expected at least the baseline's, 1x, got {}x", what, limit.value));
}

}  // namespace

void validate(const Recipe& r) {
  check(fields_of(r), "recipe");
  validate(r.train);
  require(r.train.epochs >= 1, "train.epochs", ">= 1");
  require_seeds(r.seeds, "seeds");
  require_seeds(r.importance.proxy.seeds, "importance.seeds");
  require_seeds(r.alpha.proxy.seeds, "alpha.seeds");
  for (const std::int64_t limit : {r.importance.proxy.limit_train, r.alpha.proxy.limit_train}) {
    require(limit == 0 || r.train.validation < static_cast<double>(limit), "train.validation",
            "fewer images than each limit_train");
  }
  require(r.latency.high > r.latency.low, "latency.high", "more than latency.low");
  require(!r.alpha.largest_growth || !r.scale.latency.empty(), "alpha.largest_growth",
          "scale.latency with it");
  require(!r.alpha.grid.empty(), "alpha.grid", "at least one value");
  require(!r.scale.gains.empty(), "scale.gains", "at least one");
  for (const std::string& key : r.scale.methods) {
    require(!method_of(key).needs_laws, "scale.methods", "no hacscale, whose rows are the gains");
  }
  validate(parse_latency_limit(r.scale.latency), "latency");
  validate(parse_params_limit(r.scale.params), "parameter");
  require(!r.scale.latency.empty() || !r.scale.params.empty(), "scale", "a limit");
}

std::string to_json(const Recipe& r) {
  nlohmann::ordered_json json = to_json(fields_of(r));
  json["train"]["select"] = to_string(selection(r.train));
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hac
