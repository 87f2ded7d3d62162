#include "scaling/experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/train/folder_lock.h"
#include "scaling/experiment/claims.h"
#include "scaling/experiment/experiment_choice.h"
#include "scaling/experiment/experiment_results.h"
#include "scaling/latency/device_model.h"

namespace hac {
namespace {

// One experiment; run() is the flow of the paper, top to bottom.
class Experiment : public ExperimentChoice {
 public:
  using ExperimentChoice::ExperimentChoice;

  ChosenNetworks chosen() {
    Results results;
    const std::vector<ScaledNetwork> networks = choose(results);
    require_nothing_missing();
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
    require_trained(networks);
    require_nothing_missing();
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
  void require_nothing_missing() {
    if (missing_.empty()) return;
    number_tasks(options_.out, recipe_.train, missing_);
    throw TrainingsMissing(std::move(missing_));
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
};

template <class T, class Class>
T experiment(const Recipe& recipe, const ExperimentOptions& options, T (Class::*part)()) {
  validate(recipe);
  make_folder(options.out);
  const FolderLock lock(options.out);
  Experiment experiment(recipe, options);
  write_file_atomically(options.out + "/recipe.json", to_json(recipe) + "\n");
  return (experiment.*part)();
}

TrainingTask task_of(const Recipe& recipe, const ExperimentOptions& options, std::int64_t number) {
  std::vector<TrainingTask> tasks = load_tasks(options.out, recipe.train);
  for (TrainingTask& task : tasks) {
    if (task.number == number) return std::move(task);
  }
  throw ConfigError(fmt::format("option '--task': expected {}, got {} (hint: --list-tasks)",
                                tasks.empty() ? fmt::format("a list of tasks in '{}'", options.out)
                                              : fmt::format("a number from 1 to {}", tasks.size()),
                                number));
}

}  // namespace

std::string trainings_of(const ExperimentOptions& options) {
  return options.trainings.empty() ? options.out + "/networks" : options.trainings;
}

Results run_experiment(const Recipe& recipe, const ExperimentOptions& options) {
  return experiment(recipe, options, &Experiment::run);
}

ChosenNetworks choose_networks(const Recipe& recipe, const ExperimentOptions& options) {
  return experiment(recipe, options, &Experiment::chosen);
}

TaskList list_tasks(const Recipe& recipe, const ExperimentOptions& options) {
  return experiment(recipe, options, &Experiment::tasks);
}

TaskResult run_task(const Recipe& recipe, const ExperimentOptions& options, std::int64_t number) {
  validate(recipe);
  TaskResult result{.task = task_of(recipe, options, number)};
  if (!result.task.search.empty()) {
    result.cost = ExperimentChoice(recipe, options).search(result.task);
    return result;
  }
  NetworkCache networks(trainings_of(options), data_key(open_data(recipe.train.data)),
                        options.quiet, options.where);
  if (const std::string key = networks.key(result.task.request); key != result.task.key) {
    throw ConfigError(fmt::format(
        "task {}: expected the data, device and version that it was listed with (key {}), got {} "
        "(hint: --list-tasks)",
        number, result.task.key, key));
  }
  result.was_done = networks.find(result.task.request).has_value();
  const TrainedNetwork n = networks.train(result.task.request);
  result.top1 = n.test.images > 0 ? n.test.top1 : n.validation.top1;
  result.cost = {.trainings = 1, .cpu_seconds = n.cpu_seconds};
  return result;
}

}  // namespace hac
