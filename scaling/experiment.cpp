#include "scaling/experiment.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "scaling/alpha.h"
#include "scaling/experiment_latency.h"
#include "scaling/experiment_results.h"
#include "scaling/methods/resolution.h"
#include "scaling/methods/uniform_width.h"
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
        data_(open_data(recipe.train.data)),
        data_key_(data_key(data_)),
        networks_(options.out + "/networks", data_key_, options.quiet),
        question_(json::parse(to_json(recipe))) {
    write_file_atomically(options.out + "/recipe.json", to_json(recipe) + "\n");
    ArchOptions arch = recipe.arch;
    const Dataset& images = *data_.train;
    if (!arch.classes) arch.classes = static_cast<std::int64_t>(images.classes().size());
    if (!arch.in_channels) arch.in_channels = images.channels();
    if (!arch.resolution) arch.resolution = images.resolution();
    baseline_ = resolve(recipe.model, arch);
    // What a mistake would otherwise only show after hours of training.
    samples_ = sample_widths(widths(baseline_), recipe.importance.sampling);
    hac::resolve({}, parse_params_limit(recipe.scale.params), 0, count(baseline_).params);
  }

  std::string run() {
    const json peak = measure_peak(stages_, machine_);
    learn_latency();
    budget_ = hac::resolve(parse_latency_limit(recipe_.scale.latency),
                           parse_params_limit(recipe_.scale.params), model_->predict(baseline_),
                           count(baseline_).params);
    const json alpha = search_alpha();
    const Architecture grown = with_resolution(baseline_, alpha.at("resolution"));
    const json importance = learn_importance(grown);
    const std::vector<ImportanceLaw> laws = laws_from_json(importance.at("laws").dump());
    const std::vector<NamedPlan> plans = plan_widths(grown, laws);
    const std::vector<Contender> contenders = line_up(plans);
    const json training = train_contenders(contenders);
    const json latency = measure("measure", contenders);
    const std::vector<SweepPoint> points =
        utilization_sweep(baseline_, {.growth = recipe_.sweep_growth,
                                      .width_multiple = recipe_.alpha.width_multiple,
                                      .resolution_multiple = recipe_.alpha.resolution_multiple});
    const json sweep_latency = measure("sweep", points);
    const json sweep = sweep_json(points, sweep_latency);
    check_latency(contenders, latency, points, sweep_latency);
    const json dataset{{"name", recipe_.train.data.name},
                       {"train", data_.train->size()},
                       {"test", data_.test->size()},
                       {"classes", data_.train->classes().size()}};

    const ResultParts parts{.recipe = recipe_,
                            .budget = budget_,
                            .machine = machine_,
                            .command = options_.command,
                            .dataset = dataset,
                            .baseline = baseline_,
                            .peak = peak,
                            .latency_models = latency_models_,
                            .alpha = alpha,
                            .importance = importance,
                            .plans = plans,
                            .contenders = contenders,
                            .training = training,
                            .latency = latency,
                            .sweep = sweep};
    const std::string results = assemble_results(parts);
    write_file_atomically(options_.out + "/results.json", results);
    return results;
  }

 private:
  void learn_latency() {
    if (recipe_.latency.file.empty()) {
      const auto timings = time_sampled_networks(stages_, machine_, recipe_, baseline_);
      latency_models_ = latency_models_json(timings);
      model_ = fit_latency(recipe_.latency.kind, timings);
    } else {
      model_ = load_latency_model(recipe_.latency.file);
    }
    save_latency_model(*model_, options_.out + "/latency_model.json");
  }

  // The latencies of networks: contenders or points of the sweep.
  template <class T>
  json measure(const char* stage, const std::vector<T>& networks) {
    std::vector<Architecture> archs;
    for (const T& n : networks) archs.push_back(n.arch);
    return measure_networks(stages_, machine_, recipe_, stage, archs);
  }

  // How far off the model was on the networks that it chose and on those of the sweep; not on the
  // baseline, which it was fitted on.
  void check_latency(const std::vector<Contender>& contenders, const json& latency,
                     const std::vector<SweepPoint>& points, const json& sweep_latency) {
    std::vector<NetworkTiming> timings;
    const auto add = [&](const Architecture& arch, const json& times) {
      if (arch == baseline_) return;
      timings.push_back({.graph = lower(arch), .op_ms = {}, .total_ms = times.at("median")});
    };
    for (std::size_t i = 0; i < contenders.size(); ++i) add(contenders[i].arch, latency[i]);
    for (std::size_t i = 0; i < points.size(); ++i) add(points[i].arch, sweep_latency[i]);
    if (!timings.empty()) latency_models_.push_back(latency_check_json(*model_, timings));
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
                {"data", data_key_},
                {"note", found.note},
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
      scored.push_back({.alpha = c.alpha,
                        .latency_ms = c.latency_ms,
                        .accuracy = accuracy_interval(values, images)});
      points.push_back({{"alpha", c.alpha},
                        {"resolution", c.resolution},
                        {"width", c.w},
                        {"macs", c.macs},
                        {"params", c.params},
                        {"ms", c.latency_ms},
                        {"top1", accuracy_json(values, images)},
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
            {"parabola", choice.parabola ? json(*choice.parabola) : json()},
            {"note", note}};
  }

  // Eq. 5 and 6: train sampled widths at the final resolution, observe, fit a law a layer.
  json learn_importance(const Architecture& grown) {
    const json inputs{{"arch", json::parse(to_json(grown))},
                      {"importance", question_["importance"]},
                      {"train", question_["train"]},
                      {"data", data_key_}};
    return stages_.run("importance", inputs, [&] {
      std::vector<LayerSamples> layers;
      for (const std::string& name : width_names(grown))
        layers.push_back({.layer = name, .samples = {}});
      for (std::size_t i = 0; i < samples_.size(); ++i) {
        for (const std::uint64_t seed : recipe_.importance.proxy.seeds) {
          const TrainedNetwork n = networks_.train(
              {.arch = with_widths(grown, samples_[i]),
               .config = proxy_config(recipe_.importance.proxy, seed),
               .observe = true,
               .label = fmt::format("sample {}/{} seed {}: ", i + 1, samples_.size(), seed)});
          for (std::size_t l = 0; l < layers.size(); ++l) {
            layers[l].samples.push_back(
                {.width = static_cast<double>(samples_[i][l]),
                 .importance = n.importance[l].reduce(recipe_.importance.reduction),
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
    // Plans name theirs in their warnings.
    for (Contender& c : all) c.extrapolated = model_->extrapolated(lower(c.arch)).size();
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
    json inputs{{"train", question_["train"]},
                {"data", data_key_},
                {"seeds", recipe_.seeds},
                {"archs", json::array()}};
    for (const Contender& c : contenders) inputs["archs"].push_back(json::parse(to_json(c.arch)));
    return stages_.run("train", inputs, [&] {
      json rows = json::array();
      for (const Contender& c : contenders) {
        std::vector<double> values;
        std::int64_t images = 0;
        json weights = json::array();
        for (const std::uint64_t seed : recipe_.seeds) {
          const TrainedNetwork n =
              networks_.train({.arch = c.arch,
                               .config = final_config(seed),
                               .keep_weights = true,
                               .label = fmt::format("{} seed {}: ", c.method, seed)});
          values.push_back(n.test.top1);
          images = n.test.images;
          weights.push_back(
              std::filesystem::path(n.weights).lexically_relative(options_.out).string());
        }
        rows.push_back({{"top1", accuracy_json(values, images)}, {"weights", weights}});
      }
      return rows;
    });
  }

  const Recipe& recipe_;
  const ExperimentOptions& options_;
  Machine machine_;
  Stages stages_;
  DataSplit data_;
  std::string data_key_;
  NetworkCache networks_;
  json question_;  // the recipe, cut up into the keys of the stages
  Architecture baseline_;
  std::vector<std::vector<std::int64_t>> samples_;  // widths to learn importance from
  LatencyModelPtr model_;
  json latency_models_ = json::array();
  Budget budget_;
};

}  // namespace

std::string run_experiment(const Recipe& recipe, const ExperimentOptions& options) {
  validate(recipe);
  make_folder(options.out);
  return Experiment(recipe, options).run();
}

}  // namespace hac
