#include "scaling/experiment/experiment_training.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/arch/counters.h"
#include "scaling/experiment/alpha.h"
#include "scaling/experiment/experiment_latency.h"

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

// What a stage depends on, besides what only it knows.
json inputs_of(const ExperimentTraining& t, const char* section) {
  const json recipe = json_of(t.recipe);
  return {{section, recipe.at(section)}, {"train", recipe.at("train")}, {"data", t.data_key}};
}

// 95 %, over seeds, or over the images of `set` where there is one seed.
Accuracy accuracy_of(const std::vector<double>& values, std::int64_t images, const char* set) {
  const Interval i = values.size() > 1 ? interval95(values) : interval95(values.at(0), images);
  return {.mean = i.mean,
          .low = std::max(0.0, i.low),
          .high = std::min(1.0, i.high),
          .values = values,
          .interval = values.size() > 1
                          ? fmt::format("95 % over {} seeds", values.size())
                          : fmt::format("95 % (Wilson) over {} {} images", images, set)};
}

AlphaCurve score_alpha(const ExperimentTraining& t, double growth, const AlphaCandidates& found) {
  const ProxyTraining& proxy = t.recipe.alpha.proxy;
  AlphaCurve curve{.s = growth, .note = found.note};
  for (const AlphaCandidate& c : found.candidates) {
    std::vector<double> values;
    std::int64_t images = 0;
    for (const std::uint64_t seed : proxy.seeds) {
      const TrainedNetwork n = t.networks.train(
          {.arch = c.arch,
           .config = proxy_config(t.recipe, proxy, seed),
           .test = false,
           .label = fmt::format("alpha {:.2f} r{} seed {}: ", c.alpha, c.arch.resolution, seed)});
      const EvalResult& compared = t.recipe.train.validation > 0 ? n.validation : n.test;
      values.push_back(compared.top1);
      images = compared.images;
    }
    const Counters cost = count(c.arch);
    curve.points.push_back({.alpha = c.alpha,
                            .resolution = static_cast<double>(c.arch.resolution),
                            .width = c.w,
                            .macs = static_cast<double>(cost.macs),
                            .params = static_cast<double>(cost.params),
                            .top1 = accuracy_of(values, images, evaluated_set(t.recipe.train)),
                            .ms = c.latency_ms,
                            .feasible = true});
  }
  const AlphaChoice choice = choose_alpha(curve.points);
  if (choice.tied.size() > 1) {
    curve.note +=
        fmt::format("{}{} of {} points tie within their intervals; the fastest of them is taken",
                    curve.note.empty() ? "" : "; ", choice.tied.size(), curve.points.size());
  }
  curve.best = curve.points[choice.index].alpha;
  curve.resolution = curve.points[choice.index].resolution;
  curve.peak = choice.peak;
  curve.parabola = choice.parabola;
  return curve;
}

LayerLaw layer_law(const LayerSamples& layer, ImportanceLaw law) {
  LayerLaw row{.law = std::move(law)};
  for (const ImportanceSample& s : layer.samples) row.points.push_back({s.width, s.importance});
  return row;
}

}  // namespace

AlphaCurve search_alpha(const ExperimentTraining& t, const Architecture& baseline,
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
    const ScaledNetwork uniform = method_of("compound").to_budget(task);
    growth = uniform.feasible() ? std::min(growth, uniform.coefficients.back()) : 1;
  }
  const AlphaCandidates found = alpha_candidates(baseline, growth, model, options);
  json inputs = inputs_of(t, "alpha");
  inputs["s"] = growth;
  inputs["note"] = found.note;
  inputs["candidates"] = json::array();
  for (const AlphaCandidate& c : found.candidates) {
    inputs["candidates"].push_back(
        {{"arch", json_of(c.arch)}, {"latency_ms", c.latency_ms}, {"alpha", c.alpha}});
  }
  return t.stages.run("alpha", inputs, [&] { return score_alpha(t, growth, found); });
}

FittedImportance fit_importance(const ExperimentTraining& t, const Architecture& grown,
                                const std::vector<std::vector<std::int64_t>>& samples) {
  const auto& options = t.recipe.importance;
  json inputs = inputs_of(t, "importance");
  inputs["arch"] = json_of(grown);
  FittedImportance fitted = t.stages.run("importance", inputs, [&] {
    std::vector<LayerSamples> layers;
    for (const std::string& name : width_names(grown)) {
      layers.push_back({.layer = name, .samples = {}});
    }
    for (std::size_t i = 0; i < samples.size(); ++i) {
      for (const std::uint64_t seed : options.proxy.seeds) {
        TrainConfig config = proxy_config(t.recipe, options.proxy, seed);
        config.select = Selection::last;  // importance is that of the last epoch
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
    FittedImportance result{.note = collinearity_note(layers)};
    for (std::size_t l = 0; l < laws.size(); ++l) {
      result.layers.push_back(layer_law(layers[l], laws[l]));
    }
    return result;
  });
  for (LayerLaw& layer : fitted.layers) {
    layer.law.n = std::ssize(layer.points);
    layer.law.resolution = grown.resolution;
  }
  return fitted;
}

std::vector<TrainedAccuracy> train_networks(const ExperimentTraining& t,
                                            const std::vector<ScaledNetwork>& networks) {
  json inputs = inputs_of(t, "seeds");
  inputs["archs"] = json::array();
  for (const ScaledNetwork& n : networks) inputs["archs"].push_back(json_of(n.arch));
  return t.stages.run("train", inputs, [&] {
    std::vector<TrainedAccuracy> rows;
    for (const ScaledNetwork& scaled : networks) {
      std::vector<double> values;
      std::int64_t images = 0;
      std::vector<std::string> weights;
      for (const std::uint64_t seed : t.recipe.seeds) {
        const TrainedNetwork n =
            t.networks.train({.arch = scaled.arch,
                              .config = final_config(t.recipe, seed),
                              .keep_weights = true,
                              .label = fmt::format("{} seed {}: ", scaled.method, seed)});
        values.push_back(n.test.top1);
        images = n.test.images;
        weights.push_back(std::filesystem::path(n.weights).lexically_relative(t.out).string());
      }
      rows.push_back({accuracy_of(values, images, "test"), weights});
    }
    return rows;
  });
}

}  // namespace hac
