#include "scaling/experiment/experiment_training.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

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

void add(SearchCost& cost, const TrainedNetwork& n) {
  cost += {.trainings = 1, .cpu_seconds = known(n.cpu_seconds) ? n.cpu_seconds : 0};
}

// A short training of each seed, on images that were held out where some are.
std::vector<TrainingRequest> proxy_requests(const Recipe& recipe, const ProxyTraining& proxy,
                                            const Architecture& arch, const std::string& label) {
  std::vector<TrainingRequest> requests;
  for (const std::uint64_t seed : proxy.seeds) {
    requests.push_back({.arch = arch,
                        .config = proxy_config(recipe, proxy, seed),
                        .test = false,
                        .label = fmt::format("{} seed {}: ", label, seed)});
  }
  return requests;
}

// Of the seeds of one network.
struct ProxyScore {
  std::vector<double> top1;
  std::int64_t images = 0;
};
ProxyScore score_of(std::span<const TrainedNetwork> seeds, bool validated, SearchCost& cost) {
  ProxyScore result;
  for (const TrainedNetwork& n : seeds) {
    const EvalResult& compared = validated ? n.validation : n.test;
    result.top1.push_back(compared.top1);
    result.images = compared.images;
    add(cost, n);
  }
  return result;
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
  SearchCost search;
  const TrainConfig config = proxy_config(t.recipe, proxy, 0);
  std::vector<TrainingRequest> requests;
  for (const AlphaCandidate& c : found.candidates) {
    const std::string label = fmt::format("alpha {:.2f} r{}", c.alpha, c.arch.resolution);
    for (TrainingRequest& r : proxy_requests(t.recipe, proxy, c.arch, label)) {
      requests.push_back(std::move(r));
    }
  }
  const std::vector<TrainedNetwork> trained = t.networks.train_all(requests);
  for (std::size_t i = 0; i < found.candidates.size(); ++i) {
    const AlphaCandidate& c = found.candidates[i];
    const std::size_t seeds = proxy.seeds.size();
    const ProxyScore scored =
        score_of(std::span(trained).subspan(i * seeds, seeds), config.validation > 0, search);
    const Counters cost = count(c.arch);
    curve.points.push_back({.alpha = c.alpha,
                            .resolution = static_cast<double>(c.arch.resolution),
                            .width = c.w,
                            .macs = static_cast<double>(cost.macs),
                            .params = static_cast<double>(cost.params),
                            .top1 = accuracy_of(scored.top1, scored.images, evaluated_set(config)),
                            .ms = c.latency_ms,
                            .feasible = true});
  }
  curve.search = search;
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

// The median by top-1, the lower of two; nothing of none.
std::optional<NetworkEvaluation> median_of(std::vector<NetworkEvaluation> seeds) {
  if (seeds.empty()) return std::nullopt;
  std::stable_sort(seeds.begin(), seeds.end(),
                   [](const auto& a, const auto& b) { return a.result.top1 < b.result.top1; });
  return seeds[(seeds.size() - 1) / 2];
}

LayerLaw layer_law(const LayerSamples& layer, ImportanceLaw law) {
  LayerLaw row{.law = std::move(law)};
  for (const ImportanceSample& s : layer.samples) row.points.push_back({s.width, s.importance});
  return row;
}

// Each sample at every seed, the seeds of one after another.
std::vector<TrainingRequest> sample_requests(
    const Recipe& recipe, const Architecture& grown,
    const std::vector<std::vector<std::int64_t>>& samples) {
  std::vector<TrainingRequest> requests;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (const std::uint64_t seed : recipe.importance.proxy.seeds) {
      TrainConfig config = proxy_config(recipe, recipe.importance.proxy, seed);
      config.select = Selection::last;  // importance is that of the last epoch
      requests.push_back(
          {.arch = with_widths(grown, samples[i]),
           .config = config,
           .observe = true,
           .test = false,
           .label = fmt::format("sample {}/{} seed {}: ", i + 1, samples.size(), seed)});
    }
  }
  return requests;
}

}  // namespace

ProxyTrainings proxy_trainings(const ExperimentTraining& t, SearchCost& cost) {
  const auto top1 = [&t, &cost](const Architecture& arch) {
    const std::string label =
        fmt::format("proxy {} px, {}", arch.resolution, fmt::join(widths(arch), " "));
    const auto requests = proxy_requests(t.recipe, t.recipe.search, arch, label);
    const bool validated = requests[0].config.validation > 0;
    return mean(score_of(t.networks.train_all(requests), validated, cost).top1);
  };
  const auto prune = [&t, &cost](const Architecture& arch) {
    const TrainConfig config = proxy_config(t.recipe, t.recipe.search, t.recipe.search.seeds[0]);
    const PrunedNetwork n = t.networks.prune(arch, config, t.recipe.search.prune);
    cost += {.trainings = 1, .cpu_seconds = n.cpu_seconds};
    return n.rows;
  };
  return {.top1 = top1, .prune = prune, .descent = t.recipe.search.prune.descent};
}

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
    SearchCost search;
    const auto trained = t.networks.train_all(sample_requests(t.recipe, grown, samples));
    for (std::size_t i = 0, next = 0; i < samples.size(); ++i) {
      for (const std::uint64_t seed : options.proxy.seeds) {
        const TrainedNetwork& n = trained[next++];
        add(search, n);
        for (std::size_t l = 0; l < layers.size(); ++l) {
          layers[l].samples.push_back({.width = static_cast<double>(samples[i][l]),
                                       .importance = n.importance[l].reduce(options.reduction),
                                       .seed = seed,
                                       .resolution = grown.resolution});
        }
      }
    }
    const auto laws = fit_laws(layers, {.relative = options.relative, .strict = options.strict});
    FittedImportance result{.note = collinearity_note(layers), .search = search};
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

std::vector<TrainingRequest> table_requests(const ExperimentTraining& t,
                                            const std::vector<ScaledNetwork>& networks) {
  std::vector<TrainingRequest> requests;
  for (const ScaledNetwork& scaled : networks) {
    for (const std::uint64_t seed : t.recipe.seeds) {
      requests.push_back({.arch = scaled.arch,
                          .config = final_config(t.recipe, seed),
                          .keep_weights = t.keep_weights,
                          .label = fmt::format("{} seed {}: ", scaled.method, seed)});
    }
  }
  return requests;
}

std::vector<TrainedAccuracy> train_networks(const ExperimentTraining& t,
                                            const std::vector<ScaledNetwork>& networks) {
  json inputs = inputs_of(t, "seeds");
  inputs["archs"] = json::array();
  for (const ScaledNetwork& n : networks) inputs["archs"].push_back(json_of(n.arch));
  return t.stages.run("train", inputs, [&] {
    std::vector<TrainedAccuracy> rows;
    const std::vector<TrainedNetwork> trained = t.networks.train_all(table_requests(t, networks));
    std::size_t next = 0;
    for (const ScaledNetwork& scaled : networks) {
      std::vector<double> values;
      std::int64_t images = 0;
      std::vector<std::string> weights;
      std::vector<NetworkEvaluation> evaluations;
      for (const std::uint64_t seed : t.recipe.seeds) {
        const TrainedNetwork& n = trained[next++];
        values.push_back(n.test.top1);
        images = n.test.images;
        if (n.details) {
          evaluations.push_back(
              {.network = scaled.method, .seed = seed, .result = n.test, .details = *n.details});
        }
        if (t.keep_weights) {
          weights.push_back(std::filesystem::path(n.weights).lexically_relative(t.out).string());
        }
      }
      rows.push_back({.top1 = accuracy_of(values, images, "test"),
                      .weights = weights,
                      .evaluation = median_of(std::move(evaluations))});
    }
    return rows;
  });
}

}  // namespace hac
