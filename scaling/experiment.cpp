#include "scaling/experiment.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "kernels/error.h"
#include "kernels/machine.h"
#include "models/counters.h"
#include "scaling/alpha.h"
#include "scaling/compound.h"
#include "scaling/experiment_results.h"
#include "scaling/measure.h"
#include "scaling/methods/resolution.h"
#include "scaling/methods/uniform_width.h"
#include "scaling/stages.h"
#include "scaling/trained_network.h"
#include "scaling/utilization.h"

namespace hac {
namespace {

using nlohmann::json;

// One experiment; run() is the flow of the paper, top to bottom.
class Experiment {
 public:
  Experiment(const Recipe& recipe, const ExperimentOptions& options)
      : recipe_(recipe),
        options_(options),
        machine_(this_machine()),
        stages_(options.out + "/stages", options.quiet),
        networks_(options.out + "/networks", options.quiet),
        question_(json::parse(to_json(recipe))) {
    write_file_atomically(options.out + "/recipe.json", to_json(recipe) + "\n");
    const DataSplit data = open_data(recipe.train.data);
    dataset_ = {{"name", recipe.train.data.name},
                {"train", data.train->size()},
                {"test", data.test->size()},
                {"classes", data.train->classes().size()}};
    ArchOptions arch = recipe.arch;
    if (!arch.classes) arch.classes = static_cast<std::int64_t>(data.train->classes().size());
    if (!arch.in_channels) arch.in_channels = data.train->channels();
    if (!arch.resolution) arch.resolution = data.train->resolution();
    baseline_ = resolve(recipe.model, arch);
  }

  std::string run() {
    const json peak = measure_peak();
    model_ = fit_latency_model();
    budget_ = hac::resolve(parse_latency_limit(recipe_.scale.latency),
                           parse_params_limit(recipe_.scale.params), model_->predict(baseline_),
                           count(baseline_).params);
    const json alpha = search_alpha();
    const Architecture grown = with_resolution(baseline_, alpha.at("resolution"));
    const json importance = learn_importance(grown);
    const std::vector<ImportanceLaw> laws = laws_from_json(importance.at("laws").dump());
    const std::vector<NamedPlan> plans = plan_widths(grown, laws);
    const std::vector<Contender> contenders = line_up(plans);
    const json accuracy = train_contenders(contenders);
    const json latency = measure_contenders(contenders);
    const json sweep = measure_sweep();

    const ResultParts parts{.recipe = recipe_,
                            .budget = budget_,
                            .machine = machine_,
                            .command = options_.command,
                            .dataset = dataset_,
                            .baseline = baseline_,
                            .peak = peak,
                            .latency_models = latency_models_,
                            .alpha = alpha,
                            .importance = importance,
                            .plans = plans,
                            .contenders = contenders,
                            .accuracy = accuracy,
                            .latency = latency,
                            .sweep = sweep};
    const std::string results = assemble_results(parts);
    write_file_atomically(options_.out + "/results.json", results);
    return results;
  }

 private:
  // What a measured time depends on besides the network.
  json here() const {
    return {{"cpu", machine_.cpu},
            {"threads", machine_.threads},
            {"isa", machine_.isa},
            {"onednn", machine_.onednn}};
  }

  MeasureOptions measuring() const {
    return {.runs = recipe_.latency.runs, .warmup = recipe_.latency.warmup};
  }

  json measure_peak() {
    return stages_.run("peak", here(), [] {
      return json{{"peak_gmacs", measure_peak_gmacs()}, {"bandwidth_gbs", measure_bandwidth_gbs()}};
    });
  }

  // The resolutions that the alpha search may choose, and the baseline's own.
  std::vector<std::int64_t> resolutions() const {
    std::vector<std::int64_t> all{baseline_.resolution};
    for (const double alpha : recipe_.alpha.grid) {
      const double r = hacscale_factors(recipe_.alpha.growth, alpha).r;
      all.push_back(
          std::max(baseline_.resolution, round_to(r * static_cast<double>(baseline_.resolution),
                                                  recipe_.alpha.resolution_multiple)));
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

  // The networks whose layers are timed: every resolution at several random widths.
  std::vector<Architecture> networks_to_time() const {
    const std::vector<std::int64_t> sizes = resolutions();
    const auto per_size = std::max<std::int64_t>(
        5, ceil_div(recipe_.latency.networks, static_cast<std::int64_t>(sizes.size())));
    std::vector<Architecture> nets;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const Architecture base = with_resolution(baseline_, sizes[i]);
      nets.push_back(base);
      const SamplingOptions sampling{.kind = SamplingKind::latin_hypercube,
                                     .samples = static_cast<int>(per_size),
                                     .low = recipe_.latency.low,
                                     .high = recipe_.latency.high,
                                     .seed = i};
      for (const auto& w : sample_widths(widths(base), sampling)) {
        nets.push_back(with_widths(base, w));
      }
    }
    return nets;
  }

  LatencyModelPtr fit_latency_model() {
    if (!recipe_.latency.file.empty()) {
      latency_models_ = json::array();
      return load_latency_model(recipe_.latency.file);
    }
    const std::vector<Architecture> nets = networks_to_time();
    json inputs{
        {"machine", here()}, {"latency", question_["latency"]}, {"networks", json::array()}};
    for (const Architecture& a : nets) inputs["networks"].push_back(json::parse(to_json(a)));
    const json timed = stages_.run("latency", inputs, [&] {
      json rows = json::array();
      for (const Architecture& a : nets) {
        const NetworkTiming t = time_network(a, measuring());
        json ops = json::object();
        for (const auto& [op, ms] : t.op_ms) ops[std::to_string(op)] = ms;
        rows.push_back({{"total_ms", t.total_ms}, {"op_ms", ops}});
      }
      return rows;
    });
    std::vector<NetworkTiming> timings;
    for (std::size_t i = 0; i < nets.size(); ++i) {
      NetworkTiming t{.graph = lower(nets[i]), .op_ms = {}, .total_ms = timed[i].at("total_ms")};
      for (const auto& [op, ms] : timed[i].at("op_ms").items()) t.op_ms[std::stoi(op)] = ms;
      timings.push_back(std::move(t));
    }
    latency_models_ = latency_models_json(timings);
    const LatencyModelPtr model = fit_latency(recipe_.latency.kind, timings);
    save_latency_model(*model, options_.out + "/latency_model.json");
    return model;
  }

  TrainConfig proxy_config(const ProxyTraining& proxy, std::uint64_t seed) const {
    TrainConfig c = recipe_.train;
    c.epochs = proxy.epochs;
    if (proxy.limit_train > 0) c.data.limit_train = proxy.limit_train;
    c.seed = seed;
    return c;
  }

  // Eq. 4: the alpha whose trained N(1, r, w) is the most accurate.
  json search_alpha() {
    const AlphaOptions options{.grid = recipe_.alpha.grid,
                               .resolution_multiple = recipe_.alpha.resolution_multiple,
                               .width_multiple = recipe_.alpha.width_multiple,
                               .latency_ms = budget_.latency_limit()};
    const AlphaCandidates found =
        alpha_candidates(baseline_, recipe_.alpha.growth, *model_, options);
    json inputs{{"alpha", question_["alpha"]},
                {"train", question_["train"]},
                {"candidates", json::array()}};
    for (const AlphaCandidate& c : found.candidates) {
      inputs["candidates"].push_back({{"arch", json::parse(to_json(c.arch))},
                                      {"latency_ms", c.latency_ms},
                                      {"alpha", c.alpha}});
    }
    return stages_.run("alpha", inputs, [&] { return score_alpha(found); });
  }

  json score_alpha(const AlphaCandidates& found) {
    json points = json::array();
    std::vector<ScoredAlpha> scored;
    for (const AlphaCandidate& c : found.candidates) {
      std::vector<double> values;
      std::int64_t images = 0;
      for (const std::uint64_t seed : recipe_.alpha.proxy.seeds) {
        const TrainedNetwork n = networks_.train(
            {.arch = c.arch,
             .config = proxy_config(recipe_.alpha.proxy, seed),
             .label = fmt::format("alpha {:.2f} r{} seed {}: ", c.alpha, c.resolution, seed)});
        values.push_back(n.test.top1);
        images = n.test.images;
      }
      const json top1 = accuracy_json(values, images);
      scored.push_back({.alpha = c.alpha,
                        .latency_ms = c.latency_ms,
                        .accuracy = {.mean = top1.at("mean"),
                                     .half_width = top1.at("high").get<double>() -
                                                   top1.at("mean").get<double>()}});
      points.push_back({{"alpha", c.alpha},
                        {"resolution", c.resolution},
                        {"width", c.w},
                        {"macs", c.macs},
                        {"params", c.params},
                        {"ms", c.latency_ms},
                        {"top1", top1},
                        {"feasible", true}});
    }
    const AlphaChoice choice = choose_alpha(scored);
    std::string note = found.note;
    if (choice.tied.size() > 1) {
      note +=
          fmt::format("{}{} of {} points tie within their intervals; the fastest of them is taken",
                      note.empty() ? "" : "; ", choice.tied.size(), scored.size());
    }
    return {{"s", recipe_.alpha.growth},
            {"points", points},
            {"best", scored[choice.index].alpha},
            {"resolution", found.candidates[choice.index].resolution},
            {"peak", choice.peak ? json(*choice.peak) : json()},
            {"note", note}};
  }

  // Eq. 5 and 6: train sampled widths at the final resolution, observe, fit a law a layer.
  json learn_importance(const Architecture& grown) {
    const auto samples = sample_widths(widths(grown), recipe_.importance.sampling);
    json inputs{{"arch", json::parse(to_json(grown))},
                {"importance", question_["importance"]},
                {"train", question_["train"]}};
    return stages_.run("importance", inputs, [&] {
      std::vector<LayerSamples> layers;
      for (const std::string& name : width_names(grown))
        layers.push_back({.layer = name, .samples = {}});
      for (std::size_t i = 0; i < samples.size(); ++i) {
        for (const std::uint64_t seed : recipe_.importance.proxy.seeds) {
          const TrainedNetwork n = networks_.train(
              {.arch = with_widths(grown, samples[i]),
               .config = proxy_config(recipe_.importance.proxy, seed),
               .observe = true,
               .label = fmt::format("sample {}/{} seed {}: ", i + 1, samples.size(), seed)});
          for (std::size_t l = 0; l < layers.size(); ++l) {
            layers[l].samples.push_back(
                {.width = static_cast<double>(samples[i][l]),
                 .importance = n.importance[l].reduce(KernelReduction::mean),
                 .seed = seed,
                 .resolution = grown.resolution});
          }
        }
      }
      const auto laws = fit_laws(
          layers, {.relative = recipe_.importance.relative, .strict = recipe_.importance.strict});
      return importance_json(layers, laws);
    });
  }

  // Algorithm 1, once for every gain asked for.
  std::vector<NamedPlan> plan_widths(const Architecture& grown,
                                     const std::vector<ImportanceLaw>& laws) {
    std::vector<NamedPlan> plans;
    for (const Gain gain : recipe_.scale.gains) {
      WideningOptions options = recipe_.scale.widening;
      options.gain = gain;
      ScalingPlan plan = decide(grown, laws, *model_, budget_, options);
      const std::string name = fmt::format("hacscale ({})", to_string(gain));
      write_file_atomically(fmt::format("{}/plan-{}.json", options_.out, to_string(gain)),
                            to_json(plan) + "\n");
      plans.push_back({.name = name, .arch = apply(plan, grown), .plan = std::move(plan)});
    }
    return plans;
  }

  // HACScale beside the baseline and the two methods that it is compared with, at one latency
  // budget.
  std::vector<Contender> line_up(const std::vector<NamedPlan>& plans) const {
    const Budget latency_only{.latency_ms = budget_.latency_ms,
                              .latency_slack = budget_.latency_slack};
    std::vector<Contender> all{{.method = "baseline", .arch = baseline_}};
    if (std::isfinite(budget_.latency_ms)) {
      all.push_back({.method = "uniform width",
                     .arch = scale_uniform_width(baseline_, *model_, latency_only,
                                                 {.width_multiple = recipe_.alpha.width_multiple})
                                 .arch,
                     .limit = "latency"});
      all.push_back({.method = "resolution",
                     .arch = scale_resolution_to(baseline_, *model_, latency_only,
                                                 recipe_.alpha.resolution_multiple)
                                 .arch,
                     .limit = "latency"});
    }
    for (const NamedPlan& p : plans) {
      all.push_back({.method = p.name, .arch = p.arch, .limit = to_string(p.plan.result.stop)});
    }
    for (Contender& c : all) c.predicted_ms = model_->predict(c.arch);
    return all;
  }

  TrainConfig final_config(std::uint64_t seed) const {
    TrainConfig c = recipe_.train;
    c.seed = seed;
    return c;
  }

  json train_contenders(const std::vector<Contender>& contenders) {
    json inputs{{"train", question_["train"]}, {"seeds", recipe_.seeds}, {"archs", json::array()}};
    for (const Contender& c : contenders) inputs["archs"].push_back(json::parse(to_json(c.arch)));
    return stages_.run("train", inputs, [&] {
      json rows = json::array();
      for (const Contender& c : contenders) {
        std::vector<double> values;
        std::int64_t images = 0;
        for (const std::uint64_t seed : recipe_.seeds) {
          const TrainedNetwork n =
              networks_.train({.arch = c.arch,
                               .config = final_config(seed),
                               .keep_weights = true,
                               .label = fmt::format("{} seed {}: ", c.method, seed)});
          values.push_back(n.test.top1);
          images = n.test.images;
        }
        rows.push_back(accuracy_json(values, images));
      }
      return rows;
    });
  }

  json measure_contenders(const std::vector<Contender>& contenders) {
    std::vector<Architecture> archs;
    for (const Contender& c : contenders) archs.push_back(c.arch);
    return measure_stage("measure", archs);
  }

  json measure_sweep() {
    std::vector<Architecture> archs;
    const auto points =
        utilization_sweep(baseline_, {.growth = recipe_.sweep_growth,
                                      .width_multiple = recipe_.alpha.width_multiple,
                                      .resolution_multiple = recipe_.alpha.resolution_multiple});
    for (const SweepPoint& p : points) archs.push_back(p.arch);
    const json times = measure_stage("sweep", archs);
    return sweep_json(points, times);
  }

  // Latencies of all, their runs interleaved so that drift is shared.
  json measure_stage(const std::string& name, const std::vector<Architecture>& archs) {
    json inputs{{"machine", here()},
                {"runs", recipe_.latency.runs},
                {"warmup", recipe_.latency.warmup},
                {"archs", json::array()}};
    for (const Architecture& a : archs) inputs["archs"].push_back(json::parse(to_json(a)));
    return stages_.run(name, inputs, [&] {
      std::vector<std::unique_ptr<Deployment>> nets;
      std::vector<Deployment*> pointers;
      for (const Architecture& a : archs) {
        nets.push_back(std::make_unique<Deployment>(Model(a)));
        pointers.push_back(nets.back().get());
      }
      json rows = json::array();
      for (const LatencyStats& s : measure_interleaved(pointers, measuring())) {
        rows.push_back({{"median", s.median},
                        {"mean", s.mean},
                        {"p95", s.p95},
                        {"min", s.min},
                        {"spread", s.spread},
                        {"drift", s.drift},
                        {"runs", s.runs}});
      }
      return rows;
    });
  }

  const Recipe& recipe_;
  const ExperimentOptions& options_;
  Machine machine_;
  Stages stages_;
  NetworkCache networks_;
  json question_;  // the recipe, cut up into the keys of the stages
  json dataset_;
  Architecture baseline_;
  LatencyModelPtr model_;
  json latency_models_;
  Budget budget_;
};

}  // namespace

std::string run_experiment(const Recipe& recipe, const ExperimentOptions& options) {
  validate(recipe);
  make_folder(options.out);
  return Experiment(recipe, options).run();
}

}  // namespace hac
