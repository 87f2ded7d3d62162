#include "scaling/latency/latency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/error.h"
#include "scaling/latency/latency_parts.h"
#include "scaling/stats.h"

namespace hac {

namespace {

// Of predictions, against what was measured.
LatencyError error_of(const std::vector<double>& predicted, const std::vector<double>& measured) {
  LatencyError error{.networks = static_cast<std::int64_t>(measured.size()),
                     .predicted = predicted};
  if (measured.empty()) return error;
  std::vector<double> residuals, relative;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    residuals.push_back(measured[i] - predicted[i]);
    relative.push_back(std::abs(residuals[i]) / measured[i]);
  }
  error.worst = *std::max_element(relative.begin(), relative.end());
  error.median = median(relative);
  error.r2 = r_squared(measured, residuals, 0);
  return error;
}

}  // namespace

double LatencyModel::predict(const Graph& graph) const {
  double ms = 0;
  for (const Op& op : graph.ops) ms += predict(op.spec);
  return ms;
}

Graph LatencyModel::graph_of(const Architecture& arch) const {
  return fuse(lower(arch, 1, dtype()));
}

std::vector<std::string> LatencyModel::extrapolated(const Graph& graph) const {
  std::vector<std::string> lines;
  for (const Op& op : graph.ops) {
    if (covers(op.spec)) continue;
    lines.push_back(fmt::format("{}{}{} lies outside what was timed", op.name,
                                op.name.empty() ? "" : ": ", op.spec.str()));
  }
  return lines;
}

std::vector<TimedLayer> timed_layers(std::span<const NetworkTiming> timings) {
  if (timings.empty()) throw ConfigError("latency model: expected timed networks, got none");
  std::vector<TimedLayer> layers;
  for (std::size_t i = 0; i < timings.size(); ++i) {
    const NetworkTiming& t = timings[i];
    const int ops = static_cast<int>(t.graph.ops.size());
    if (!(t.total_ms > 0) || !std::isfinite(t.total_ms)) {
      throw ConfigError(fmt::format(
          "latency model, network {}: expected a total above 0 ms, got {}", i, t.total_ms));
    }
    for (const auto& [op, ms] : t.op_ms) {
      if (op < 0 || op >= ops || !(ms >= 0) || !std::isfinite(ms)) {
        throw ConfigError(fmt::format(
            "latency model, network {}: expected times >= 0 of ops 0 to {}, got {} ms of op {}", i,
            ops - 1, ms, op));
      }
    }
    for (int op = 0; op < ops; ++op) {
      const auto it = t.op_ms.find(op);
      const double ms = it == t.op_ms.end() ? 0 : it->second;
      layers.push_back({t.graph.ops[op].spec, ms, t.total_ms});
    }
  }
  return layers;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

void correct_scale(LatencyModel& model, std::span<const NetworkTiming> timings) {
  std::vector<double> ratios;
  for (const NetworkTiming& t : timings) {
    const double predicted = model.predict(t.graph);
    if (predicted > 0) ratios.push_back(t.total_ms / predicted);
  }
  if (!ratios.empty()) model.scale = median(ratios);
}

std::shared_ptr<LatencyModel> fit_latency(LatencyModelKind kind,
                                          std::span<const NetworkTiming> timings,
                                          std::int64_t block) {
  return kind == LatencyModelKind::table ? fit_latency_table(timings, block)
                                         : fit_latency_regression(timings);
}

std::shared_ptr<LatencyModel> fit_latency(LatencyModelKind kind,
                                          std::span<const NetworkTiming> timings,
                                          const LatencySource& source,
                                          std::optional<std::int64_t> given_block) {
  for (const NetworkTiming& t : timings) {
    for (const Op& op : t.graph.ops) {
      if (name_of(op.spec.dtype()) == source.dtype) continue;
      throw ConfigError(fmt::format("latency model: expected operations in {}, got '{}'",
                                    source.dtype, op.spec.str()));
    }
  }
  const std::int64_t block = given_block.value_or(source.block());
  const std::shared_ptr<LatencyModel> model = fit_latency(kind, timings, block);
  model->source = source;
  model->error = cross_validate(kind, timings, 5, block);
  model->error->predicted.clear();
  model->error->unsteady =
      std::ranges::count_if(timings, [](const NetworkTiming& t) { return !t.unsteady.empty(); });
  return model;
}

LatencyModelPtr fit_latency(LatencyModelKind kind, std::vector<TimedNetwork> networks,
                            const LatencySource& source, std::optional<Staircase> staircase) {
  std::vector<NetworkTiming> timings;
  for (const TimedNetwork& network : networks) timings.push_back(network.timing);
  std::optional<std::int64_t> block;
  if (staircase && staircase->block > 0) block = staircase->block;
  const std::shared_ptr<LatencyModel> model = fit_latency(kind, timings, source, block);
  model->networks = std::move(networks);
  model->staircase = std::move(staircase);
  return model;
}

LatencyError prediction_error(const LatencyModel& model, std::span<const NetworkTiming> timings) {
  std::vector<double> predicted, measured;
  for (const NetworkTiming& t : timings) {
    predicted.push_back(model.predict(t.graph));
    measured.push_back(t.total_ms);
  }
  return error_of(predicted, measured);
}

LatencyError error_left_out(
    std::span<const NetworkTiming> timings, int folds,
    const std::function<LatencyModelPtr(std::span<const NetworkTiming>)>& fit) {
  const auto networks = static_cast<int>(timings.size());
  if (folds < 2 || networks < folds) {
    throw ConfigError(fmt::format(
        "cross validation: expected at least 2 folds and as many networks, got {} and {}", folds,
        networks));
  }
  std::vector<double> predicted(networks), measured(networks);
  for (int fold = 0; fold < folds; ++fold) {
    std::vector<NetworkTiming> kept;
    for (int i = 0; i < networks; ++i) {
      if (i % folds != fold) kept.push_back(timings[i]);
    }
    const LatencyModelPtr model = fit(kept);
    for (int i = fold; i < networks; i += folds) {
      predicted[i] = model->predict(timings[i].graph);
      measured[i] = timings[i].total_ms;
    }
  }
  return error_of(predicted, measured);
}

LatencyError cross_validate(LatencyModelKind kind, std::span<const NetworkTiming> timings,
                            int folds, std::int64_t block) {
  return error_left_out(timings, folds, [&](std::span<const NetworkTiming> kept) {
    return fit_latency(kind, kept, block);
  });
}

}  // namespace hac
