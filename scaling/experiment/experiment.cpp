#include "scaling/experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/sets/holdout.h"
#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "models/train/folder_lock.h"
#include "scaling/experiment/claims.h"
#include "scaling/experiment/experiment_results.h"
#include "scaling/latency/device_model.h"

namespace hac {
namespace {

// One experiment; run() is the flow of the paper, top to bottom.
class Experiment {
 public:
  Experiment(const Recipe& recipe, const ExperimentOptions& options)
      : recipe_(recipe),
        options_(options),
        measured_on_{this_machine(), options.where, options.allow_unsteady},
        stages_(options.out + "/stages", options.quiet),
        data_(open_data(recipe.train.data)),
        data_key_(data_key(data_)),
        networks_(options.trainings.empty() ? options.out + "/networks" : options.trainings,
                  data_key_, options.quiet, options.where) {
    for (const std::string& note : data_.notes) {
      if (!options.quiet) print(stderr, fmt::format("note: {}\n", one_line(note)));
    }
    write_file_atomically(options.out + "/recipe.json", to_json(recipe) + "\n");
    ArchOptions arch = recipe.arch;
    const Dataset& images = *data_.train;
    if (!arch.classes) arch.classes = static_cast<std::int64_t>(images.classes().size());
    if (!arch.in_channels) arch.in_channels = images.channels();
    if (!arch.resolution) arch.resolution = images.resolution();
    baseline_ = resolve(recipe.model, arch);
    for (const std::string& model : recipe.sweep.models) {
      others_.push_back(resolve(model, {.resolution = arch.resolution,
                                        .classes = arch.classes,
                                        .in_channels = arch.in_channels}));
    }
    // What a mistake would otherwise only show after hours of training.
    samples_ = sample_widths(widths(baseline_), recipe.importance.sampling);
    for (const double part : {recipe.train.validation, recipe.importance.proxy.validation,
                              recipe.alpha.proxy.validation, recipe.search.validation}) {
      hold_out(data_, part, 0);
    }
    hac::resolve(
        {.params = parse_params_limit(recipe.scale.params),
         .memory = parse_memory_limit(recipe.scale.memory)},
        {.latency_ms = 1,
         .params = count(baseline_).params,
         .memory_bytes = count(baseline_).weight_bytes + count(baseline_).peak_activation_bytes});
  }

  // The networks of the result table, the baseline first, and what led to them.
  std::vector<ScaledNetwork> choose(Results& results) {
    std::vector<LatencyFit> latency_models = set_latency_model();
    budget_ = hac::resolve({.latency = parse_latency_limit(recipe_.scale.latency),
                            .params = parse_params_limit(recipe_.scale.params),
                            .memory = parse_memory_limit(recipe_.scale.memory)},
                           cost_of(baseline_, *model_));
    budget_.latency_slack = recipe_.scale.latency_slack;
    results = results_of(recipe_, options_.command, measured_on_, data_, baseline_, budget_);
    results.latency_models = std::move(latency_models);
    if (modelled()) results.modelled = model_->source->str();
    Architecture grown = baseline_;
    FittedImportance importance;
    if (needs_laws()) {
      results.alpha = search_alpha(training_, baseline_, *model_, budget_);
      grown = with_resolution(baseline_, static_cast<std::int64_t>(results.alpha.resolution));
      importance = fit_importance(training_, grown, samples_);
      law_cost_ = importance.search;
      if (results.alpha.search) law_cost_ += *results.alpha.search;
    }
    importance_note_ = importance.note;
    results.importance = std::move(importance.layers);
    return scaled_networks(grown.resolution, results.importance);
  }

  ChosenNetworks chosen() {
    Results results;
    const std::vector<ScaledNetwork> networks = choose(results);
    ChosenNetworks all{.name = recipe_.name, .notes = left_out_};
    for (std::string& line : model_warnings(*model_, budget_, model_->predict(baseline_))) {
      all.notes.push_back(std::move(line));
    }
    for (const ScaledNetwork& n : networks) {
      for (const std::string& line : model_->extrapolated(n.arch)) {
        all.notes.push_back(n.method + ": " + line);
      }
      save_architecture(n.arch, fmt::format("{}/architecture-{}.json", options_.out, n.key));
      all.networks.push_back(described(n));
    }
    all.latency_by = model_->source ? model_->source->str() : "";
    all.budget = budget_;
    write_file_atomically(options_.out + "/chosen.json", to_json(all.fields()).dump(2) + "\n");
    return all;
  }

  Results run() {
    Results results;
    const std::vector<ScaledNetwork> networks = choose(results);
    const std::vector<TrainedAccuracy> trained = train_networks(training_, networks);
    const std::vector<MeasuredLatency> latencies = latencies_of("measure", networks);
    for (std::size_t i = 0; i < networks.size(); ++i) {
      results.table.push_back(table_row(networks[i], trained[i], latencies[i]));
      if (networks[i].plan) results.plans.push_back(reported(networks[i]));
    }
    add_peak(results, modelled() ? MeasuredPeak{} : measured_peak(results.table));
    results.evaluations = evaluations_of(results, trained, *data_.test);
    if (!modelled()) {
      add_energy(results, networks);
      results.profiles =
          profile_networks(stages_, measured_on_, recipe_, baseline_and_plans(networks));
    }
    if (const auto layer = layer_to_sweep(baseline_, results.importance)) {
      results.staircase = sweep_layer(stages_, measured_on_, baseline_, *layer,
                                      modelled() ? model_.get() : nullptr);
    }
    const auto xavier = device_model("xavier");
    results.sweep_model = xavier->source->str();
    const std::vector<SweepPoint> points = sweep_points(baseline_);
    const std::vector<MeasuredLatency> sweep_latencies = latencies_of("sweep", points);
    results.sweeps = sweeps_of(points, sweep_latencies, *xavier);
    for (const Architecture& other : others_) {
      const std::vector<SweepPoint> p = sweep_points(other);
      results.other_sweeps.push_back(
          {other.name, sweeps_of(p, latencies_of("sweep-" + other.name, p), *xavier)});
    }
    results.explanation = explanation();
    if (!modelled()) check_latency(results, networks, latencies, points, sweep_latencies);
    results.notes.insert(results.notes.end(), left_out_.begin(), left_out_.end());
    add_notes(results, recipe_, importance_note_, unsteady_, networks, *model_);
    results.claims = claims_of(results);
    write_file_atomically(options_.out + "/results.json", to_json(results));
    return results;
  }

 private:
  bool modelled() const { return !recipe_.latency.device_model.empty(); }
  Dtype latency_dtype() const { return recipe_.latency.dtype.value_or(options_.where.dtype); }

  bool needs_laws() const {
    const std::vector<std::string> keys = methods_of(recipe_);
    return std::any_of(keys.begin(), keys.end(),
                       [](const std::string& key) { return method_of(key).needs_laws; });
  }

  // Sets the model; how well both kinds predict, where they were measured here.
  std::vector<LatencyFit> set_latency_model() {
    std::vector<LatencyFit> fits;
    if (modelled()) {
      if (!recipe_.latency.file.empty()) {
        throw ConfigError("recipe 'latency.device_model': expected no latency.file with it");
      }
      model_ = device_model(recipe_.latency.device_model, latency_dtype());
      save_latency_model(*model_, options_.out + "/latency_model.json");
      return fits;
    }
    const LatencySource here = latency_source(options_.where);
    if (recipe_.latency.file.empty()) {
      const auto timings = time_sampled_networks(stages_, measured_on_, recipe_, baseline_);
      fits = cross_validated(timings, here.block());
      model_ = fit_latency(recipe_.latency.kind, timings, here);
      for (const NetworkTiming& t : timings) unsteady_ += !t.unsteady.empty();
    } else {
      model_ = load_latency_model(recipe_.latency.file);
      if (!recipe_.latency.foreign) {
        require_source(*model_, here, recipe_.latency.file,
                       "latency.foreign = true in the recipe takes it as it is");
      }
      if (!options_.allow_unsteady) require_steady(*model_, recipe_.latency.file);
      if (model_->error) unsteady_ = model_->error->unsteady;
    }
    save_latency_model(*model_, options_.out + "/latency_model.json");
    return fits;
  }

  // What time buys where budgets are decided, and on the devices that it is compared with.
  Explanation explanation() const {
    std::vector<LatencyModelPtr> models{model_};
    for (const char* name : compared_devices) {
      if (!computes_in(name, latency_dtype())) continue;
      models.push_back(device_model(name, latency_dtype()));
      if (models.back()->source == model_->source) models.pop_back();
    }
    return explain(baseline_, models, {.rounding = rounding_of(recipe_)});
  }

  std::vector<SweepPoint> sweep_points(const Architecture& arch) const {
    return utilization_sweep(arch,
                             {.growth = recipe_.sweep.growth, .rounding = rounding_of(recipe_)});
  }

  // The latencies of networks: those of the result table or points of the sweep.
  template <class T>
  std::vector<MeasuredLatency> latencies_of(const std::string& stage,
                                            const std::vector<T>& networks) {
    std::vector<Architecture> archs;
    for (const T& n : networks) archs.push_back(n.arch);
    return modelled() ? modelled_latencies(*model_, archs)
                      : measure_networks(stages_, measured_on_, recipe_, stage, archs);
  }

  static std::vector<ScaledNetwork> baseline_and_plans(const std::vector<ScaledNetwork>& networks) {
    std::vector<ScaledNetwork> chosen;
    for (const ScaledNetwork& n : networks) {
      if (chosen.empty() || n.plan) chosen.push_back(n);
    }
    return chosen;
  }

  MeasuredPeak measured_peak(const std::vector<TableRow>& table) {
    double reached = 0;
    for (const TableRow& row : table) reached = std::max(reached, row.multiplied_gmacs_per_s);
    return peak_of(stages_, measured_on_, reached);
  }

  // Of the baseline and of what HACScale made of it.
  void add_energy(Results& results, const std::vector<ScaledNetwork>& networks) {
    std::vector<Architecture> archs;
    std::vector<TableRow*> rows;
    for (std::size_t i = 0; i < networks.size(); ++i) {
      if (i > 0 && !networks[i].plan) continue;
      archs.push_back(networks[i].arch);
      rows.push_back(&results.table[i]);
    }
    const MeasuredEnergy energy = measure_energies(stages_, measured_on_, recipe_, archs);
    results.energy_reason = energy.reason;
    for (std::size_t i = 0; i < energy.of.size(); ++i) rows[i]->energy = energy.of[i];
  }

  // How far off the model was on the networks that it chose and on those of the sweep; not on the
  // baseline, which it was fitted on.
  void check_latency(Results& results, const std::vector<ScaledNetwork>& networks,
                     const std::vector<MeasuredLatency>& latencies,
                     const std::vector<SweepPoint>& points,
                     const std::vector<MeasuredLatency>& sweep_latencies) const {
    std::vector<NetworkTiming> timings;
    const auto add = [&](const Architecture& arch, const MeasuredLatency& measured) {
      if (arch == baseline_) return;
      timings.push_back(
          {.graph = model_->graph_of(arch), .op_ms = {}, .total_ms = measured.ms.median});
    };
    for (std::size_t i = 0; i < networks.size(); ++i) add(networks[i].arch, latencies[i]);
    for (std::size_t i = 0; i < points.size(); ++i) add(points[i].arch, sweep_latencies[i]);
    if (timings.empty()) return;
    results.latency_models.push_back(latency_fit(model_->name() + ", scaled networks",
                                                 prediction_error(*model_, timings), timings));
  }

  // The baseline and what each method makes of it: within the budget, or, of those that do not
  // decide by importance, within its latency alone.
  std::vector<ScaledNetwork> scaled_networks(std::int64_t resolution,
                                             const std::vector<LayerLaw>& importance) {
    std::vector<ImportanceLaw> laws;
    for (const LayerLaw& layer : importance) laws.push_back(layer.law);
    ScalingTask task{.baseline = baseline_,
                     .model = *model_,
                     .rounding = rounding_of(recipe_),
                     .resolution = resolution,
                     .laws = laws,
                     .widening = recipe_.scale.widening};
    std::vector<ScaledNetwork> all{
        {.method = "baseline", .arch = baseline_, .cost = cost_of(baseline_, *model_)}};
    for (const std::string& key : methods_of(recipe_)) {
      const Method& method = method_of(key);
      const bool latency_alone = !method.needs_laws && !recipe_.scale.all_limits;
      task.budget = latency_alone ? budget_.latency_only() : budget_;
      if (!task.budget.limited()) continue;
      SearchCost cost = method.needs_laws ? law_cost_ : SearchCost{};
      const ProxyTrainings proxy = proxy_trainings(training_, cost);
      task.proxy = &proxy;
      try {
        all.push_back(method.to_budget(task));
      } catch (const ConfigError& error) {  // it has no network of this baseline
        if (method.needs_laws || methods_of(recipe_).size() == 1) throw;
        left_out_.push_back(
            fmt::format("{} is left out: {}.", method.name, one_line(error.what())));
        if (!options_.quiet) print(stderr, fmt::format("note: {}\n", left_out_.back()));
        continue;
      }
      all.back().search = cost;
      if (!all.back().plan) continue;
      write_file_atomically(fmt::format("{}/plan-{}.json", options_.out, key),
                            to_json(*all.back().plan) + "\n");
    }
    if (recipe_.claims) all.push_back(uniform_of_equal_params(all, task));
    return all;
  }

  // What importance is worth: widths by one factor, at HACScale's resolution, with as many
  // parameters as its row has.
  static ScaledNetwork uniform_of_equal_params(const std::vector<ScaledNetwork>& all,
                                               const ScalingTask& task) {
    const auto hacscale = std::find_if(all.begin(), all.end(),
                                       [](const ScaledNetwork& n) { return n.key == "hacscale"; });
    const Architecture grown = grown_of(task);
    Rounding rounding = task.rounding;
    rounding.width_multiple = 1;  // as near as can be: its latency does not count
    ScaledNetwork uniform =
        method_of("uniform-width")
            .to_budget({.baseline = grown,
                        .model = task.model,
                        .budget = {.params = static_cast<double>(hacscale->cost.params)},
                        .rounding = rounding});
    uniform.method = "uniform width (equal params)";
    uniform.key = equal_params_key;
    return uniform;
  }

  const Recipe& recipe_;
  const ExperimentOptions& options_;
  MeasuredOn measured_on_;
  StageCache stages_;
  DataSplit data_;
  std::string data_key_;
  NetworkCache networks_;
  ExperimentTraining training_{recipe_, data_key_, options_.out, options_.keep_weights,
                               stages_, networks_};
  Architecture baseline_;
  std::vector<Architecture> others_;                // of the utilization figure
  std::vector<std::vector<std::int64_t>> samples_;  // widths to measure importance at
  LatencyModelPtr model_;
  std::vector<std::string> left_out_;  // methods, and why
  std::string importance_note_;
  SearchCost law_cost_;        // of the search for alpha and of the importance
  std::int64_t unsteady_ = 0;  // networks of the latency model that a busy machine disturbed
  Budget budget_;
};

template <class T>
T experiment(const Recipe& recipe, const ExperimentOptions& options, T (Experiment::*part)()) {
  validate(recipe);
  make_folder(options.out);
  const FolderLock lock(options.out);
  Experiment experiment(recipe, options);
  return (experiment.*part)();
}

}  // namespace

Results run_experiment(const Recipe& recipe, const ExperimentOptions& options) {
  return experiment(recipe, options, &Experiment::run);
}

ChosenNetworks choose_networks(const Recipe& recipe, const ExperimentOptions& options) {
  return experiment(recipe, options, &Experiment::chosen);
}

}  // namespace hac
