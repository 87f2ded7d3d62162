#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/latency/latency.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/latency/nnls.h"

namespace hac {

namespace {

// Milliseconds for an operation, a MAC, a weight byte and an activation byte; none is negative.
using Coefficients = std::array<double, 4>;

std::array<double, 4> features(const OpSpec& op) {
  const Cost cost = op.cost();
  return {1, static_cast<double>(cost.macs), static_cast<double>(cost.weight_bytes),
          static_cast<double>(cost.activation_bytes)};
}

// Depthwise convolutions have other costs for a MAC, and so has each type.
std::string class_of(const OpSpec& op) {
  const auto* conv = std::get_if<Conv2dSpec>(&op);
  return fmt::format("{}:{}{}", op.kind(), name_of(op.dtype()),
                     conv && conv->depthwise() ? ",depthwise" : "");
}

class LatencyRegression final : public LatencyModel {
 public:
  LatencyRegression(std::map<std::string, Coefficients> coefficients, double scale)
      : coefficients_(std::move(coefficients)), scale_(scale) {}

  double predict(const OpSpec& op) const override {
    const auto it = coefficients_.find(class_of(op));
    if (it == coefficients_.end()) {
      throw ConfigError(fmt::format(
          "latency regression: expected coefficients of '{}', got none (hint: time a network that "
          "has this operation)",
          class_of(op)));
    }
    const std::array<double, 4> x = features(op);
    double ms = 0;
    for (std::size_t i = 0; i < x.size(); ++i) ms += it->second[i] * x[i];
    return scale_ * ms;
  }

  // A line has no edges: the kinds that were timed are covered.
  bool covers(const OpSpec& op) const override { return coefficients_.contains(class_of(op)); }

  std::string name() const override { return "regression"; }

  std::string to_json() const override {
    using Json = nlohmann::ordered_json;
    Json kinds = Json::object();
    for (const auto& [kind, c] : coefficients_) kinds[kind] = c;
    return Json{{"model", "regression"},
                {"scale", scale_},
                {"features", {"1", "macs", "weight_bytes", "activation_bytes"}},
                {"kinds", kinds}}
        .dump(1);
  }

  void set_scale(double scale) { scale_ = scale; }

 private:
  std::map<std::string, Coefficients> coefficients_;
  double scale_;
};

}  // namespace

std::shared_ptr<LatencyModel> fit_latency_regression(std::span<const NetworkTiming> timings) {
  struct System {
    std::vector<std::vector<double>> rows;
    std::vector<double> values;
  };
  std::map<std::string, System> systems;
  for (const TimedLayer& layer : timed_layers(timings)) {
    System& system = systems[class_of(layer.spec)];
    std::vector<double> row;
    for (const double x : features(layer.spec)) row.push_back(x / layer.network_ms);
    system.rows.push_back(std::move(row));
    system.values.push_back(layer.ms / layer.network_ms);
  }
  std::map<std::string, Coefficients> coefficients;
  for (const auto& [kind, system] : systems) {
    const std::vector<double> x = nnls(system.rows, system.values);
    coefficients[kind] = {x[0], x[1], x[2], x[3]};
  }
  const auto model = std::make_shared<LatencyRegression>(std::move(coefficients), 1);
  model->set_scale(scale_correction(*model, timings));
  return model;
}

std::shared_ptr<LatencyModel> latency_regression_from_json(const nlohmann::json& json,
                                                           Fields common) {
  const std::string what = "latency regression";
  double scale = 1;
  std::vector<std::string> features;
  common.add("scale", scale, {0, 1e9}).add("features", features);
  read_json(json, common, what, "", {.others = {"kinds"}});

  const nlohmann::json none, &kinds = json.contains("kinds") ? json["kinds"] : none;
  std::map<std::string, std::vector<double>> lists;
  Fields fields;
  for (const auto& [kind, list] : kinds.items()) {
    const auto it = lists.emplace(kind, 0).first;
    fields.add(it->first, it->second, {0});
  }
  read_json(kinds, fields, what, "kinds");
  std::map<std::string, Coefficients> coefficients;
  for (const auto& [kind, x] : lists) {
    if (x.size() != 4) {
      throw ConfigError(fmt::format("{} 'kinds.{}': expected four coefficients, got {}", what,
                                    kind.substr(0, 40), x.size()));
    }
    coefficients[kind] = {x[0], x[1], x[2], x[3]};
  }
  return std::make_shared<LatencyRegression>(std::move(coefficients), scale);
}

}  // namespace hac
