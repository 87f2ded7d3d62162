#include "scaling/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "kernels/error.h"
#include "scaling/methods/method.h"

namespace hac {
namespace {

using nlohmann::ordered_json;

void require(bool ok, const char* key, const char* expected) {
  if (!ok) throw ConfigError(fmt::format("recipe '{}': expected {}", key, expected));
}

ordered_json to_json(const ArchOptions& a) {
  ordered_json j = ordered_json::object();
  if (a.width) j["width"] = *a.width;
  if (!a.widths.empty()) j["widths"] = a.widths;
  if (!a.blocks.empty()) j["blocks"] = a.blocks;
  if (a.depth) j["depth"] = *a.depth;
  if (a.resolution) j["resolution"] = *a.resolution;
  if (a.classes) j["classes"] = *a.classes;
  if (a.in_channels) j["in_channels"] = *a.in_channels;
  return j;
}

ordered_json to_json(const ProxyTraining& p) {
  return {{"epochs", p.epochs}, {"limit_train", p.limit_train}, {"seeds", p.seeds}};
}

// Each is a training; the same one twice would be counted as two, with no spread between them.
void require_seeds(const std::vector<std::uint64_t>& seeds, const std::string& key) {
  require(!seeds.empty(), key.c_str(), "at least one seed");
  const std::set<std::uint64_t> different(seeds.begin(), seeds.end());
  if (different.size() == seeds.size()) return;
  throw ConfigError(
      fmt::format("recipe '{}': expected different seeds, got [{}]", key, fmt::join(seeds, ", ")));
}

void validate(const ProxyTraining& p, const char* key) {
  require(p.epochs >= 1, key, "epochs >= 1");
  require(p.limit_train >= 0, key, "limit_train >= 0");
  require_seeds(p.seeds, fmt::format("{}.seeds", key));
}

// A factor below 1 is known to be below the baseline before anything is measured.
void validate(const Limit& limit, const char* what) {
  if (!limit.factor || limit.value >= 1) return;
  throw ConfigError(
      fmt::format("{} budget: expected at least the baseline's, 1x, got {}x", what, limit.value));
}

void validate(const WideningOptions& w) {
  require(w.stride >= 1 && w.stride <= 65536, "scale.stride", "1 to 65536");
  require(w.width_cap >= 1 && w.width_cap <= 1 << 20, "scale.width_cap", "1 to 1048576");
  require(w.step_cap >= 0 && w.step_cap <= 1000000, "scale.step_cap", "0 to 1000000");
}

}  // namespace

void validate(const Recipe& r) {
  validate(r.train);
  require(r.train.epochs >= 1, "train.epochs", ">= 1");
  require_seeds(r.seeds, "seeds");
  for (const std::int64_t limit : {r.importance.proxy.limit_train, r.alpha.proxy.limit_train}) {
    require(limit == 0 || r.train.validation < static_cast<double>(limit), "train.validation",
            "fewer images than each limit_train");
  }
  validate(r.importance.proxy, "importance");
  validate(r.alpha.proxy, "alpha");
  require(r.latency.networks >= 4, "latency.networks", ">= 4");
  require(r.latency.low > 0 && r.latency.high > r.latency.low, "latency.low", "0 < low < high");
  require(r.latency.runs >= 1 && r.latency.warmup >= 0, "latency.runs", "runs >= 1, warmup >= 0");
  require(r.alpha.growth > 1 && r.alpha.growth <= 64, "alpha.growth", "in (1, 64]");
  const double at = r.alpha.largest_growth.value_or(0);
  require(at >= 0 && at <= 1, "alpha.largest_growth", "an alpha in [0, 1]");
  require(!r.alpha.largest_growth || !r.scale.latency.empty(), "alpha.largest_growth",
          "scale.latency with it");
  require(!r.alpha.grid.empty(), "alpha.grid", "at least one value");
  for (const double a : r.alpha.grid) require(a > 0 && a < 1, "alpha.grid", "values in (0, 1)");
  require(!r.scale.gains.empty(), "scale.gains", "at least one");
  for (const std::string& key : r.scale.methods) {
    require(!method_of(key).needs_laws, "scale.methods", "no hacscale, whose rows are the gains");
  }
  require(r.alpha.resolution_multiple >= 1, "alpha.resolution_multiple", ">= 1");
  require(r.alpha.width_multiple >= 1, "alpha.width_multiple", ">= 1");
  validate(parse_latency_limit(r.scale.latency), "latency");
  validate(parse_params_limit(r.scale.params), "parameter");
  require(!r.scale.latency.empty() || !r.scale.params.empty(), "scale", "a limit");
  require(r.scale.latency_slack >= 0 && r.scale.latency_slack <= 10, "scale.latency_slack",
          "0 to 10");
  validate(r.scale.widening);
  for (const double g : r.sweep_growth) require(g >= 1, "sweep.growth", "values >= 1");
}

std::string to_json(const Recipe& r) {
  ordered_json gains = ordered_json::array();
  for (const WideningCriterion g : r.scale.gains) gains.push_back(to_string(g));
  const SamplingOptions& s = r.importance.sampling;
  ordered_json importance = to_json(r.importance.proxy);
  importance.update({{"sampling", to_string(s.kind)},
                     {"multipliers", s.multipliers},
                     {"samples", s.samples},
                     {"low", s.low},
                     {"high", s.high},
                     {"round_to", s.round_to},
                     {"sampling_seed", s.seed},
                     {"reduction", to_string(r.importance.reduction)},
                     {"relative", r.importance.relative},
                     {"strict", r.importance.strict}});
  ordered_json alpha = to_json(r.alpha.proxy);
  alpha.update({{"growth", r.alpha.growth},
                {"grid", r.alpha.grid},
                {"resolution_multiple", r.alpha.resolution_multiple},
                {"width_multiple", r.alpha.width_multiple}});
  if (r.alpha.largest_growth) alpha["largest_growth"] = *r.alpha.largest_growth;
  const WideningOptions& w = r.scale.widening;
  return ordered_json{{"name", r.name},
                      {"model", r.model},
                      {"arch", to_json(r.arch)},
                      {"seeds", r.seeds},
                      {"train", ordered_json::parse(to_json(r.train))},
                      {"importance", importance},
                      {"latency",
                       {{"model", to_string(r.latency.kind)},
                        {"file", r.latency.file},
                        {"foreign", r.latency.foreign},
                        {"networks", r.latency.networks},
                        {"low", r.latency.low},
                        {"high", r.latency.high},
                        {"runs", r.latency.runs},
                        {"warmup", r.latency.warmup}}},
                      {"alpha", alpha},
                      {"scale",
                       {{"latency", r.scale.latency},
                        {"params", r.scale.params},
                        {"latency_slack", r.scale.latency_slack},
                        {"policy", to_string(w.policy)},
                        {"stride", w.stride},
                        {"tie_residual", w.tie_residual},
                        {"width_cap", w.width_cap},
                        {"step_cap", w.step_cap},
                        {"methods", r.scale.methods},
                        {"gains", gains}}},
                      {"sweep", {{"growth", r.sweep_growth}}}}
      .dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hac
