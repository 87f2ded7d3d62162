#include "scaling/experiment_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scaling/alpha.h"

namespace hac {
namespace {

using nlohmann::json;

TrainConfig final_config(const Recipe& recipe, std::uint64_t seed) {
  TrainConfig c = recipe.train;
  c.seed = seed;
  return c;
}

TrainConfig proxy_config(const Recipe& recipe, const ProxyTraining& proxy, std::uint64_t seed) {
  TrainConfig c = final_config(recipe, seed);
  c.epochs = proxy.epochs;
  if (proxy.limit_train > 0) c.data.limit_train = proxy.limit_train;
  return c;
}

// What the answer of a stage depends on, besides what only it knows.
json inputs_of(const ExperimentTraining& t, const char* section) {
  const json recipe = json::parse(to_json(t.recipe));
  return {{section, recipe.at(section)}, {"train", recipe.at("train")}, {"data", t.data_key}};
}

json score_alpha(const ExperimentTraining& t, double growth, const AlphaCandidates& found) {
  const ProxyTraining& proxy = t.recipe.alpha.proxy;
  json points = json::array();
  std::vector<ScoredAlpha> scored;
  for (const AlphaCandidate& c : found.candidates) {
    std::vector<double> values;
    std::int64_t images = 0;
    for (const std::uint64_t seed : proxy.seeds) {
      const TrainedNetwork n = t.networks.train(
          {.arch = c.arch,
           .config = proxy_config(t.recipe, proxy, seed),
           .test = false,
           .label = fmt::format("alpha {:.2f} r{} seed {}: ", c.alpha, c.resolution, seed)});
      const EvalResult& compared = t.recipe.train.validation > 0 ? n.validation : n.test;
      values.push_back(compared.top1);
      images = compared.images;
    }
    scored.push_back({.alpha = c.alpha,
                      .latency_ms = c.latency_ms,
                      .accuracy = accuracy_interval(values, images)});
    points.push_back({{"alpha", c.alpha},
                      {"resolution", c.resolution},
                      {"width", c.w},
                      {"macs", c.macs},
                      {"params", c.params},
                      {"ms", c.latency_ms},
                      {"top1", accuracy_json(values, images, evaluated_set(t.recipe.train))},
                      {"feasible", true}});
  }
  const AlphaChoice choice = choose_alpha(scored);
  std::string note = found.note;
  if (choice.tied.size() > 1) {
    note +=
        fmt::format("{}{} of {} points tie within their intervals; the fastest of them is taken",
                    note.empty() ? "" : "; ", choice.tied.size(), scored.size());
  }
  return {{"s", growth},
          {"points", points},
          {"best", scored[choice.index].alpha},
          {"resolution", found.candidates[choice.index].resolution},
          {"peak", choice.peak ? json(*choice.peak) : json()},
          {"parabola", choice.parabola ? json(*choice.parabola) : json()},
          {"note", note}};
}

}  // namespace

json search_alpha(const ExperimentTraining& t, const Architecture& baseline,
                  const LatencyModel& model, const Budget& budget) {
  const AlphaOptions options{.grid = t.recipe.alpha.grid,
                             .rounding = rounding_of(t.recipe),
                             .latency_ms = budget.latency_limit()};
  double growth = t.recipe.alpha.growth;
  if (const std::optional<double> alpha = t.recipe.alpha.largest_growth) {
    const ScalingTask task{.baseline = baseline,
                           .model = model,
                           .budget = budget.latency_only(),
                           .rounding = options.rounding,
                           .given = {*alpha}};
    growth = std::min(growth, method_of("compound").to_budget(task).coefficients.back());
  }
  const AlphaCandidates found = alpha_candidates(baseline, growth, model, options);
  json inputs = inputs_of(t, "alpha");
  inputs["s"] = growth;
  inputs["note"] = found.note;
  inputs["candidates"] = json::array();
  for (const AlphaCandidate& c : found.candidates) {
    inputs["candidates"].push_back(
        {{"arch", json::parse(to_json(c.arch))}, {"latency_ms", c.latency_ms}, {"alpha", c.alpha}});
  }
  return t.stages.run("alpha", inputs, [&] { return score_alpha(t, growth, found); });
}

json fit_importance(const ExperimentTraining& t, const Architecture& grown,
                    const std::vector<std::vector<std::int64_t>>& samples) {
  const auto& options = t.recipe.importance;
  json inputs = inputs_of(t, "importance");
  inputs["arch"] = json::parse(to_json(grown));
  return t.stages.run("importance", inputs, [&] {
    std::vector<LayerSamples> layers;
    for (const std::string& name : width_names(grown)) {
      layers.push_back({.layer = name, .samples = {}});
    }
    for (std::size_t i = 0; i < samples.size(); ++i) {
      for (const std::uint64_t seed : options.proxy.seeds) {
        TrainConfig config = proxy_config(t.recipe, options.proxy, seed);
        config.select = "last";  // importance is that of the last epoch
        const TrainedNetwork n = t.networks.train(
            {.arch = with_widths(grown, samples[i]),
             .config = config,
             .observe = true,
             .test = false,
             .label = fmt::format("sample {}/{} seed {}: ", i + 1, samples.size(), seed)});
        for (std::size_t l = 0; l < layers.size(); ++l) {
          layers[l].samples.push_back({.width = static_cast<double>(samples[i][l]),
                                       .importance = n.importance[l].reduce(options.reduction),
                                       .seed = seed,
                                       .resolution = grown.resolution});
        }
      }
    }
    const auto laws = fit_laws(layers, {.relative = options.relative, .strict = options.strict});
    return importance_json(layers, laws);
  });
}

json train_networks(const ExperimentTraining& t, const std::vector<ScaledNetwork>& networks) {
  json inputs = inputs_of(t, "seeds");
  inputs["archs"] = json::array();
  for (const ScaledNetwork& c : networks) inputs["archs"].push_back(json::parse(to_json(c.arch)));
  return t.stages.run("train", inputs, [&] {
    json rows = json::array();
    for (const ScaledNetwork& c : networks) {
      std::vector<double> values;
      std::int64_t images = 0;
      json weights = json::array();
      for (const std::uint64_t seed : t.recipe.seeds) {
        const TrainedNetwork n =
            t.networks.train({.arch = c.arch,
                              .config = final_config(t.recipe, seed),
                              .keep_weights = true,
                              .label = fmt::format("{} seed {}: ", c.method, seed)});
        values.push_back(n.test.top1);
        images = n.test.images;
        weights.push_back(std::filesystem::path(n.weights).lexically_relative(t.out).string());
      }
      rows.push_back({{"top1", accuracy_json(values, images, "test")}, {"weights", weights}});
    }
    return rows;
  });
}

}  // namespace hac
