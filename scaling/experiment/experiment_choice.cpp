#include "scaling/experiment/experiment_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/sets/holdout.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "scaling/experiment/claims.h"
#include "scaling/experiment/experiment_results.h"
#include "scaling/latency/device_model.h"

namespace hac {

ExperimentChoice::ExperimentChoice(const Recipe& recipe, const ExperimentOptions& options)
    : recipe_(recipe),
      options_(options),
      measured_on_{this_machine(), options.where, options.allow_unsteady},
      stages_(options.out + "/stages", options.quiet),
      data_(open_data(recipe.train.data)),
      data_key_(data_key(data_)),
      networks_(trainings_of(options), data_key_, options.quiet, options.where) {
  for (const std::string& note : data_.notes) {
    if (!options.quiet) print(stderr, fmt::format("note: {}\n", one_line(note)));
  }
  ArchOptions arch = recipe.arch;
  const Dataset& images = *data_.train;
  if (!arch.classes) arch.classes = static_cast<std::int64_t>(images.classes().size());
  if (!arch.in_channels) arch.in_channels = images.channels();
  if (!arch.resolution) arch.resolution = images.resolution();
  baseline_ = resolve(recipe.model, arch);
  resolution_ = baseline_.resolution;
  for (const std::string& model : recipe.sweep.models) {
    others_.push_back(resolve(
        model,
        {.resolution = arch.resolution, .classes = arch.classes, .in_channels = arch.in_channels}));
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

TaskList ExperimentChoice::tasks() {
  networks_.set_training(false);
  TaskList list;
  std::vector<ScaledNetwork> networks{{.method = "baseline", .arch = baseline_}};
  list.measured = load_kept_latency_model();
  if (list.measured) {
    set_budget();
    Results laws;
    if (needs_laws()) find_laws(laws);
    networks = scaled_networks();
  }
  require_trained(networks);
  list.next = std::move(missing_);
  number_tasks(options_.out, recipe_.train, list.next);
  std::vector<double> seconds;
  for (const TrainingTask& task : load_tasks(options_.out, recipe_.train)) {
    if (!task.search.empty()) continue;
    const auto kept = networks_.find(task.request);
    if (!kept) continue;
    list.finished += 1;
    if (known(kept->cpu_seconds)) seconds.push_back(kept->cpu_seconds / task.gmacs);
  }
  if (!seconds.empty()) list.seconds_per_gmac = median(seconds);
  return list;
}

SearchCost ExperimentChoice::search(const TrainingTask& task) {
  const Method& method = method_of(task.search);
  if (search_task(method).key != task.key) {
    throw ConfigError(
        fmt::format("task {}: expected the recipe, data and device that it was listed for, got "
                    "others (hint: --list-tasks)",
                    task.number));
  }
  networks_.set_training(false);
  if (!load_kept_latency_model()) {
    throw ConfigError(
        fmt::format("task {}: expected a latency model in '{}', got none (hint: "
                    "--merge measures one)",
                    task.number, options_.out));
  }
  set_budget();
  if (method.needs_laws) {
    Results laws;
    find_laws(laws);
    if (laws_wait_) throw TrainingsMissing(std::move(missing_));
  }
  networks_.set_training(true);
  SearchCost cost;
  const ProxyTrainings proxy = proxy_trainings(training_, cost);
  ScalingTask scaling = scaling_task();
  scaling.budget = budget_of(method);
  scaling.proxy = &proxy;
  method.to_budget(scaling);
  return cost;
}

std::vector<ScaledNetwork> ExperimentChoice::choose(Results& results) {
  networks_.set_training(options_.train);
  std::vector<LatencyFit> latency_models = set_latency_model();
  set_budget();
  results = results_of(recipe_, options_.command, measured_on_, data_, baseline_, budget_);
  results.latency_models = std::move(latency_models);
  if (modelled()) results.modelled = model_->source->str();
  if (needs_laws()) find_laws(results);
  return scaled_networks();
}

void ExperimentChoice::require_trained(const std::vector<ScaledNetwork>& networks) {
  if (networks_.may_train()) return;
  try {
    networks_.train_all(table_requests(training_, networks));
  } catch (const TrainingsMissing& missing) {
    add_missing(missing);
  }
}

void ExperimentChoice::add_missing(const TrainingsMissing& missing) {
  for (TrainingTask task : missing.tasks) {
    const auto same = [&](const TrainingTask& t) { return t.key == task.key; };
    if (std::any_of(missing_.begin(), missing_.end(), same)) continue;  // of two methods
    const auto images = [](std::int64_t limit, const Dataset& set) {
      return limit > 0 ? std::min(limit, set.size()) : set.size();
    };
    const DataConfig& data = task.request.config.data;
    const std::int64_t train = images(data.limit_train, *data_.train),
                       test = images(data.limit_test, *data_.test);
    const double validation = task.request.config.validation;
    const auto held_out = static_cast<std::int64_t>(
        validation < 1 ? validation * static_cast<double>(train) : validation);
    if (task.search.empty()) {
      task.gmacs = training_gmacs(task.request, train - held_out, held_out > 0 ? held_out : test);
    }
    missing_.push_back(std::move(task));
  }
}

bool ExperimentChoice::needs_laws() const {
  const std::vector<std::string> keys = methods_of(recipe_);
  return std::any_of(keys.begin(), keys.end(),
                     [](const std::string& key) { return method_of(key).needs_laws; });
}

// Sets the model; how well both kinds predict, where they were measured here.
std::vector<LatencyFit> ExperimentChoice::set_latency_model() {
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

// The one that set_latency_model() left, also on another machine; false where there is none yet.
bool ExperimentChoice::load_kept_latency_model() {
  const std::string kept = options_.out + "/latency_model.json";
  if (modelled()) {
    model_ = device_model(recipe_.latency.device_model, latency_dtype());
  } else if (!recipe_.latency.file.empty()) {
    model_ = load_latency_model(recipe_.latency.file);
  } else if (std::filesystem::exists(options_.out + "/stages/latency.json") &&
             std::filesystem::exists(kept)) {
    model_ = load_latency_model(kept);
  }
  return model_ != nullptr;
}

void ExperimentChoice::set_budget() {
  budget_ = hac::resolve({.latency = parse_latency_limit(recipe_.scale.latency),
                          .params = parse_params_limit(recipe_.scale.params),
                          .memory = parse_memory_limit(recipe_.scale.memory)},
                         cost_of(baseline_, *model_));
  budget_.latency_slack = recipe_.scale.latency_slack;
}

void ExperimentChoice::find_laws(Results& results) {
  FittedImportance importance;
  try {
    results.alpha = search_alpha(training_, baseline_, *model_, budget_);
    resolution_ = static_cast<std::int64_t>(results.alpha.resolution);
    importance = fit_importance(training_, with_resolution(baseline_, resolution_), samples_);
  } catch (const TrainingsMissing& missing) {
    add_missing(missing);
    laws_wait_ = true;
    return;
  }
  law_cost_ = importance.search;
  if (results.alpha.search) law_cost_ += *results.alpha.search;
  importance_note_ = importance.note;
  results.importance = std::move(importance.layers);
  for (const LayerLaw& layer : results.importance) laws_.push_back(layer.law);
}

ScalingTask ExperimentChoice::scaling_task() const {
  return {.baseline = baseline_,
          .model = *model_,
          .rounding = rounding_of(recipe_),
          .resolution = resolution_,
          .laws = laws_,
          .widening = recipe_.scale.widening};
}

// Of methods that do not decide by importance the latency alone, unless the recipe says otherwise.
Budget ExperimentChoice::budget_of(const Method& method) const {
  const bool latency_alone = !method.needs_laws && !recipe_.scale.all_limits;
  return latency_alone ? budget_.latency_only() : budget_;
}

// The baseline and what each method makes of it.
std::vector<ScaledNetwork> ExperimentChoice::scaled_networks() {
  std::vector<ScaledNetwork> all{
      {.method = "baseline", .arch = baseline_, .cost = cost_of(baseline_, *model_)}};
  for (const std::string& key : methods_of(recipe_)) {
    const Method& method = method_of(key);
    if (method.needs_laws && laws_wait_) continue;
    try {
      add_scaled(method, all);
    } catch (const TrainingsMissing&) {
      add_missing(TrainingsMissing({search_task(method)}));
    }
  }
  if (recipe_.claims && !laws_wait_) all.push_back(uniform_of_equal_params(all));
  return all;
}

void ExperimentChoice::add_scaled(const Method& method, std::vector<ScaledNetwork>& all) {
  ScalingTask task = scaling_task();
  task.budget = budget_of(method);
  if (!task.budget.limited()) return;
  SearchCost cost = method.needs_laws ? law_cost_ : SearchCost{};
  const ProxyTrainings proxy = proxy_trainings(training_, cost);
  task.proxy = &proxy;
  try {
    all.push_back(method.to_budget(task));
  } catch (const ConfigError& error) {  // it has no network of this baseline
    if (method.needs_laws || methods_of(recipe_).size() == 1) throw;
    left_out_.push_back(fmt::format("{} is left out: {}.", method.name, one_line(error.what())));
    if (!options_.quiet) print(stderr, fmt::format("note: {}\n", left_out_.back()));
    return;
  }
  all.back().search = cost;
  if (!all.back().plan) return;
  write_file_atomically(fmt::format("{}/plan-{}.json", options_.out, method.key),
                        to_json(*all.back().plan) + "\n");
}

// What importance is worth: widths by one factor, at HACScale's resolution, with as many
// parameters as its row has.
ScaledNetwork ExperimentChoice::uniform_of_equal_params(
    const std::vector<ScaledNetwork>& all) const {
  const auto hacscale = std::find_if(all.begin(), all.end(),
                                     [](const ScaledNetwork& n) { return n.key == "hacscale"; });
  const Architecture grown = grown_of(scaling_task());
  Rounding rounding = rounding_of(recipe_);
  rounding.width_multiple = 1;  // as near as can be: its latency does not count
  ScaledNetwork uniform =
      method_of("uniform-width")
          .to_budget({.baseline = grown,
                      .model = *model_,
                      .budget = {.params = static_cast<double>(hacscale->cost.params)},
                      .rounding = rounding});
  uniform.method = "uniform width (equal params)";
  uniform.key = equal_params_key;
  return uniform;
}

TrainingTask ExperimentChoice::search_task(const Method& method) const {
  const nlohmann::json recipe = json_of(recipe_);
  TrainingTask task{.name = method.name + ", its search", .search = method.key};
  task.request = {.arch = baseline_,
                  .config = proxy_config(recipe_, recipe_.search, recipe_.search.seeds[0])};
  const nlohmann::json question{
      {"search", recipe.at("search")}, {"train", recipe.at("train")},
      {"alpha", recipe.at("alpha")},   {"scale", recipe.at("scale")},
      {"arch", json_of(baseline_)},    {"training", networks_.key(task.request)}};
  task.key = content_key(method.key + question.dump());
  return task;
}

}  // namespace hac
