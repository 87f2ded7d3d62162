#include <fmt/format.h>

#include <algorithm>
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
using Coefficients = std::vector<double>;

std::vector<double> features(const OpSpec& op) {
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
  explicit LatencyRegression(std::map<std::string, Coefficients> coefficients = {})
      : coefficients_(std::move(coefficients)) {}

  double predict(const OpSpec& op) const override {
    const auto it = coefficients_.find(class_of(op));
    if (it == coefficients_.end()) {
      throw ConfigError(fmt::format(
          "latency regression: expected coefficients of '{}', got none (hint: time a network that "
          "has this operation)",
          class_of(op)));
    }
    return scale * dot(it->second, features(op));
  }

  // A line has no edges: the kinds that were timed are covered.
  bool covers(const OpSpec& op) const override { return coefficients_.contains(class_of(op)); }

  std::string name() const override { return "regression"; }

  Fields fields() override {
    // Older files of the same form bear no version.
    return Fields()
        .add("version", version_, {kLatencyFileVersion, kLatencyFileVersion}, "",
             {.optional = true})
        .add("scale", scale, {0, 1e9})
        .add("features", features_)
        .add("kinds", coefficients_, {0});
  }

  void validate(const std::string& what) const {
    for (const auto& [kind, x] : coefficients_) {
      if (x.size() == 4) continue;
      throw ConfigError(fmt::format("{} 'kinds.{}': expected four coefficients, got {}", what,
                                    kind.substr(0, 40), x.size()));
    }
  }

 private:
  std::map<std::string, Coefficients> coefficients_;
  int version_ = kLatencyFileVersion;
  std::vector<std::string> features_{"1", "macs", "weight_bytes", "activation_bytes"};
};

std::map<std::string, Coefficients> fit_layers(std::span<const TimedLayer> layers) {
  struct System {
    std::vector<std::vector<double>> rows;
    std::vector<double> values;
  };
  std::map<std::string, System> systems;
  for (const TimedLayer& layer : layers) {
    System& system = systems[class_of(layer.spec)];
    system.rows.push_back(features(layer.spec));
    for (double& x : system.rows.back()) x /= layer.network_ms;
    system.values.push_back(layer.ms / layer.network_ms);
  }
  std::map<std::string, Coefficients> coefficients;
  for (const auto& [kind, system] : systems) coefficients[kind] = nnls(system.rows, system.values);
  return coefficients;
}

// One system for all kinds, a row a network.
std::map<std::string, Coefficients> fit_totals(std::span<const NetworkTiming> timings) {
  std::map<std::string, std::size_t> columns;  // of each kind, its first
  for (const NetworkTiming& t : timings) {
    for (const Op& op : t.graph.ops) columns.try_emplace(class_of(op.spec), 4 * columns.size());
  }
  std::vector<std::vector<double>> rows;
  for (const NetworkTiming& t : timings) {
    rows.emplace_back(4 * columns.size());
    for (const Op& op : t.graph.ops) {
      const std::vector<double> x = features(op.spec);
      double* const row = &rows.back()[columns[class_of(op.spec)]];
      for (std::size_t i = 0; i < x.size(); ++i) row[i] += x[i] / t.total_ms;
    }
  }
  const std::vector<double> all = nnls(rows, std::vector<double>(rows.size(), 1.0));
  std::map<std::string, Coefficients> coefficients;
  for (const auto& [kind, first] : columns) {
    coefficients[kind] = {all.begin() + first, all.begin() + first + 4};
  }
  return coefficients;
}

}  // namespace

std::shared_ptr<LatencyModel> fit_latency_regression(std::span<const NetworkTiming> timings) {
  const std::vector<TimedLayer> layers = timed_layers(timings);
  const bool by_layer =
      std::ranges::none_of(timings, [](const NetworkTiming& t) { return t.op_ms.empty(); });
  const auto model =
      std::make_shared<LatencyRegression>(by_layer ? fit_layers(layers) : fit_totals(timings));
  correct_scale(*model, timings);
  return model;
}

std::shared_ptr<LatencyModel> latency_regression_from_json(const nlohmann::json& json,
                                                           Fields common) {
  const std::string what = "latency regression";
  const auto model = std::make_shared<LatencyRegression>();
  read_json(json, common.add(model->fields()), what);
  model->validate(what);
  return model;
}

}  // namespace hac
