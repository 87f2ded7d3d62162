#include "scaling/experiment/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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
  require_seeds(r.search.seeds, "search.seeds");
  const std::initializer_list<const ProxyTraining*> proxies = {&r.importance.proxy, &r.alpha.proxy,
                                                               &r.search};
  for (const ProxyTraining* proxy : proxies) {
    const auto limit = static_cast<double>(proxy->limit_train);
    require(limit == 0 || std::max(r.train.validation, proxy->validation) < limit,
            "train.validation", "fewer images than each limit_train");
  }
  require(r.latency.high > r.latency.low, "latency.high", "more than latency.low");
  require(!r.latency.dtype || !r.latency.device_model.empty(), "latency.dtype",
          "latency.device_model with it");
  require(!r.alpha.largest_growth || !r.scale.latency.empty(), "alpha.largest_growth",
          "scale.latency with it");
  require(!r.alpha.grid.empty(), "alpha.grid", "at least one value");
  const std::vector<std::string> methods = methods_of(r);
  require(!methods.empty(), "scale.methods", "at least one method or gain");
  require(!r.claims || std::find(methods.begin(), methods.end(), "hacscale") != methods.end(),
          "claims", "hacscale among scale.methods with it, or plain among scale.gains");
  require(r.scale.widening.stride <= r.scale.widening.width_cap, "scale.stride",
          "at most scale.width_cap");
  validate(parse_latency_limit(r.scale.latency), "latency");
  validate(parse_params_limit(r.scale.params), "parameter");
  validate(parse_memory_limit(r.scale.memory), "memory");
  require(!r.scale.latency.empty() || !r.scale.params.empty() || !r.scale.memory.empty(), "scale",
          "a limit");
}

std::vector<std::string> methods_of(const Recipe& recipe) {
  std::vector<std::string> keys;
  const auto add = [&](const std::string& key) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(method_of(key).key);
  };
  for (const std::string& key : recipe.scale.methods) add(key);
  for (const WideningCriterion criterion : recipe.scale.gains) add(method_by(criterion).key);
  return keys;
}

TrainConfig proxy_config(const Recipe& recipe, const ProxyTraining& proxy, std::uint64_t seed) {
  TrainConfig c = recipe.train;
  c.seed = seed;
  c.epochs = proxy.epochs;
  if (proxy.limit_train > 0) c.data.limit_train = proxy.limit_train;
  if (proxy.validation > 0) c.validation = proxy.validation;
  return c;
}

std::string to_json(const Recipe& r) {
  nlohmann::ordered_json json = to_json(fields_of(r));
  json["train"]["select"] = to_string(selection(r.train));
  json["train"]["weight_decay"] = weight_decay_of(r.train.optimizer);
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hac
