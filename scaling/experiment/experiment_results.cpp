#include "scaling/experiment/experiment_results.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "models/arch/counters.h"

namespace hac {
namespace {

using nlohmann::json;

constexpr double kNoticeable = 0.05;  // of a latency
constexpr double kMisleading = 1.2;   // times what was predicted

FactValue whole(std::int64_t x) { return static_cast<std::uint64_t>(x); }
FactValue fact(const std::optional<double>& x) { return x ? FactValue(*x) : FactValue(); }

Facts facts_of(const json& object) {
  Facts facts;
  read_json(json{{"facts", object}}, Fields().add("facts", facts), "recipe");
  return facts;
}

// Settings within settings by their paths, lists as text.
void flatten(const json& value, const std::string& path, json& facts) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) flatten(inner, path + "." + key, facts);
  } else if (value.is_array()) {
    facts[path] = fmt::format("{}", fmt::join(value.get<std::vector<double>>(), ", "));
  } else {
    facts[path] = value;
  }
}

// One level of scalars, and of the schedule only what its kind uses.
Facts training_facts(const TrainConfig& config, json facts) {
  const json schedule = facts["schedule"];
  for (const char* key : {"data", "seed"}) facts.erase(key);
  facts["schedule"] = schedule["kind"];
  for (const char* key : {"lr", "warmup"}) facts[key] = schedule[key];
  if (config.schedule.warmup > 0) facts["warmup_style"] = to_string(config.schedule.warmup_style);
  if (config.schedule.kind == ScheduleKind::step) {
    facts["milestones"] = fmt::format("{}", fmt::join(config.schedule.milestones, ", "));
    facts["gamma"] = config.schedule.gamma;
  }
  if (config.schedule.kind == ScheduleKind::exponential) facts["beta"] = config.schedule.beta;
  for (const char* key : {"transforms", "optimizer"}) {
    if (!facts.contains(key)) continue;
    const json inner = facts[key];
    facts.erase(key);
    flatten(inner, key, facts);
  }
  return facts_of(facts);
}

// What a reader must know of a network's measured latency.
void add_latency_notes(std::vector<std::string>& notes, const TableRow& row, double limit_ms,
                       std::size_t extrapolated) {
  const LatencyStats& ms = row.measured.ms;
  if (!ms.steady()) {
    notes.push_back(fmt::format(
        "{}: its latency is unsteady: {} of {} runs waited for a core, after {} were taken again.",
        row.method, ms.disturbed, ms.runs, ms.repeated));
  }
  if (std::abs(ms.drift) >= kNoticeable) {
    notes.push_back(fmt::format("{}: its latency drifted by {:+.0f} % while it was measured.",
                                row.method, 100 * ms.drift));
  }
  if (extrapolated > 0) {
    notes.push_back(fmt::format(
        "{}: {} of its operations lie outside what was timed, their latency is extrapolated.",
        row.method, extrapolated));
  }
  const double off = ms.median / row.predicted_ms;
  if (row.key == "baseline" && std::abs(std::log(off)) > std::log(kMisleading)) {
    notes.push_back(fmt::format(
        "{}: measures {:.3g} ms, predicted {:.3g}: the limit of {:.3g} ms is {:.2f} times what it "
        "measures.",
        row.method, ms.median, row.predicted_ms, limit_ms, limit_ms / ms.median));
  }
  if (ms.median > (1 + kNoticeable) * limit_ms) {
    notes.push_back(
        fmt::format("{}: measures {:.3g} ms, above the budget of {:.3g} ms (predicted {:.3g}).",
                    row.method, ms.median, limit_ms, row.predicted_ms));
  }
  if (row.peak_fraction > 1) {
    notes.push_back(fmt::format(
        "{}: utilization is {:.0f} % of the measured peak, which no network can have: measure "
        "again on an idle machine.",
        row.method, 100 * row.peak_fraction));
  }
}

}  // namespace

Results results_of(const Recipe& recipe, const std::string& command, const MeasuredOn& on,
                   const DataSplit& data, const Architecture& baseline, const Budget& budget) {
  const json settings = json_of(recipe);
  const TrainConfig for_alpha = proxy_config(recipe, recipe.alpha.proxy, recipe.train.seed);
  Results r{.recipe = recipe.name,
            .command = command,
            .created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))),
            .baseline = baseline.name,
            .seeds = {recipe.seeds.begin(), recipe.seeds.end()},
            .machine = {{"cpu", on.machine.cpu},
                        {"cores", whole(on.machine.cores)},
                        {"threads", whole(on.machine.threads)},
                        {"isa", on.machine.isa},
                        {"device", runtime_of(on.where.device).name(on.where.device)},
                        {"dtype", std::string(name_of(on.where.dtype))}},
            .versions = {{"hacscale", std::string(HAC_VERSION)},
                         {"onednn", on.machine.onednn},
                         {"compiler", on.machine.compiler}},
            .dataset = {{"name", recipe.train.data.name},
                        {"train", whole(data.train->size())},
                        {"test", whole(data.test->size())},
                        {"classes", whole(std::ssize(data.train->classes()))}},
            .training = training_facts(recipe.train, settings["train"]),
            .budget = budget,
            .latency_text = recipe.scale.latency,
            .params_text = recipe.scale.params,
            .table_accuracy = shown_accuracy(recipe.train, "test"),
            .alpha_accuracy = shown_accuracy(for_alpha, evaluated_set(for_alpha))};
  for (const char* section : {"importance", "latency", "alpha", "scale", "sweep"}) {
    r.settings[section] = facts_of(settings[section]);
  }
  return r;
}

void add_peak(Results& r, const MeasuredPeak& peak) {
  r.machine.insert({{"peak_gmacs", fact(peak.gmacs_per_s)},
                    {"peak_of", peak.of},
                    {"bandwidth_gbs", fact(peak.bandwidth_gbs)}});
  if (!peak.steady) {
    r.notes.push_back(
        "The peak and the bandwidth are unsteady, and so are the shares of the peak: other work "
        "took cores in nearly every trial.");
  }
  if (!peak.gmacs_per_s) return;
  for (TableRow& row : r.table) {
    row.peak_fraction = peak_fraction(row.multiplied_gmacs_per_s, *peak.gmacs_per_s);
  }
}

TableRow table_row(const ScaledNetwork& network, const TrainedAccuracy& trained,
                   const MeasuredLatency& measured) {
  const Counters counters = count(network.arch);
  const double ms = measured.ms.median;
  return {.method = network.method,
          .params = static_cast<double>(counters.params),
          .macs = static_cast<double>(counters.macs),
          .ops_thop2021 = static_cast<double>(counters.ops_thop2021),
          .resolution = static_cast<double>(network.arch.resolution),
          .widths = widths(network.arch),
          .predicted_ms = network.cost.latency_ms,
          .measured = measured,
          .gmacs_per_s = utilization_gmacs(counters.macs, ms),
          .multiplied_gmacs_per_s =
              utilization_gmacs(static_cast<std::int64_t>(measured.multiplications), ms),
          .top1 = trained.top1,
          .weights = trained.weights,
          .limit = network.limit,
          .key = network.key,
          .memory_bytes = static_cast<double>(network.cost.memory_bytes),
          .search = network.search,
          .note = network.note};
}

ReportedPlan reported(const ScaledNetwork& network) {
  const ScalingPlan& plan = *network.plan;
  ReportedPlan r{.name = network.method,
                 .gain = to_string(plan.options.criterion),
                 .policy = to_string(plan.options.policy),
                 .stride = static_cast<double>(plan.options.stride),
                 .resolution = static_cast<double>(plan.resolution),
                 .stop = network.limit,
                 .warnings = plan.warnings,
                 .budget = plan.budget,
                 .optimality = plan.optimality};
  for (const LayerPlan& l : plan.result.layers) {
    r.layers.push_back(
        {l.layer, static_cast<double>(l.before), static_cast<double>(l.after), l.reason});
  }
  for (const ScalingStep& s : plan.result.steps) {
    r.steps.push_back({plan.result.layers[s.layer].layer, static_cast<double>(s.width),
                       s.latency_ms, static_cast<double>(s.params)});
  }
  return r;
}

std::vector<Sweep> sweeps_of(const std::vector<SweepPoint>& points,
                             const std::vector<MeasuredLatency>& measured,
                             const LatencyModel& device) {
  std::vector<Sweep> sweeps;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const SweepPoint& p = points[i];
    const LatencyStats& ms = measured[i].ms;
    if (sweeps.empty() || sweeps.back().dimension != p.dimension) {
      sweeps.push_back({.dimension = p.dimension, .points = {}});
    }
    sweeps.back().points.push_back(
        {.label = p.dimension == "resolution" ? fmt::format("R={}", p.arch.resolution)
                                              : fmt::format("{}={:.2f}", p.dimension[0], p.factor),
         .macs = static_cast<double>(p.macs),
         .params = static_cast<double>(count(p.arch).params),
         .ms = ms.median,
         .gmacs_per_s = utilization_gmacs(p.macs, ms.median),
         .steady = ms.steady(),
         .error = median_error(ms),
         .modelled_ms = device.predict(p.arch)});
  }
  return sweeps;
}

std::vector<NetworkEvaluation> evaluations_of(const Results& results,
                                              const std::vector<TrainedAccuracy>& trained,
                                              const Dataset& test) {
  std::vector<NetworkEvaluation> evaluations;
  std::vector<std::size_t> rows;  // of the table, of each
  for (std::size_t i = 0; i < trained.size(); ++i) {
    if (!trained[i].evaluation) continue;
    evaluations.push_back(*trained[i].evaluation);
    rows.push_back(i);
  }
  const auto best = std::max_element(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
    return results.table[a].top1.mean < results.table[b].top1.mean;
  });
  for (std::size_t k = 0; k < evaluations.size(); ++k) {
    EvalDetails& details = evaluations[k].details;
    const bool shown = rows[k] == *best;
    if (!shown) details.worst.clear();
    if (!shown && rows[k] != 0) {
      details.confusion.clear();
      details.classes.clear();
    }
    add_pictures(details, test);
  }
  return evaluations;
}

LatencyFit latency_fit(const std::string& name, const LatencyError& error,
                       const std::vector<NetworkTiming>& timings) {
  LatencyFit fit{.name = name,
                 .median_error = error.median,
                 .max_error = error.worst,
                 .r2 = error.r2,
                 .networks = static_cast<double>(error.networks)};
  for (std::size_t i = 0; i < timings.size(); ++i) {
    fit.points.push_back({error.predicted[i], timings[i].total_ms});
  }
  return fit;
}

std::vector<LatencyFit> cross_validated(const std::vector<NetworkTiming>& timings,
                                        std::int64_t block) {
  std::vector<LatencyFit> fits;
  for (const LatencyModelKind kind : {LatencyModelKind::table, LatencyModelKind::regression}) {
    fits.push_back(latency_fit(to_string(kind), cross_validate(kind, timings, 5, block), timings));
  }
  return fits;
}

void add_notes(Results& r, const Recipe& recipe, const std::string& importance_note,
               std::int64_t unsteady_timings, const std::vector<ScaledNetwork>& networks,
               const LatencyModel& model) {
  std::int64_t points = 0, rows = 0;
  for (const Sweep& sweep : r.sweeps) {
    for (const UtilizationPoint& p : sweep.points) points += !p.steady;
  }
  for (const TableRow& row : r.table) rows += !row.measured.ms.steady();
  r.unsteady_figures = static_cast<double>(unsteady_timings + points + rows);

  const TrainConfig for_alpha = proxy_config(recipe, recipe.alpha.proxy, recipe.train.seed);
  std::vector<std::string>& notes = r.notes;
  notes.push_back(fmt::format("Accuracy is the {}.", r.table_accuracy));
  notes.push_back(
      recipe.train.validation > 0
          ? "Epochs and alpha are chosen by images held out of the training set; the test "
            "images are used once, when a network of the table has been trained."
      : for_alpha.validation > 0
          ? "Alpha is chosen by images held out of the training set, not by the test images."
          : "Nothing is held out: alpha is chosen by the accuracy of short trainings on "
            "the same test images.");
  notes.push_back(
      "Latency is that of the network alone: the image is a tensor already, batch norm is folded, "
      "ReLU fused, weights are packed.");
  if (!importance_note.empty()) notes.push_back(importance_note);
  for (const ReportedPlan& p : r.plans) {
    for (const std::string& w : p.warnings) notes.push_back(p.name + ": " + w);
  }
  if (unsteady_timings > 0) {
    notes.push_back(fmt::format(
        "The budget was decided on unsteady times, as --allow-unsteady asked: a busy machine "
        "disturbed those of {} networks that the latency model was fitted on.",
        unsteady_timings));
  }
  if (points > 0) {
    notes.push_back(fmt::format(
        "Utilization: the latencies of {} networks of the sweep are unsteady: a busy machine "
        "disturbed them.",
        points));
  }
  if (recipe.latency.foreign) {
    notes.push_back(
        "The latency model was measured elsewhere; the measured column is of this device.");
  }
  for (std::size_t i = 0; i < networks.size(); ++i) {
    // Plans name theirs in their warnings.
    const std::size_t extrapolated =
        networks[i].plan ? 0 : model.extrapolated(networks[i].arch).size();
    add_latency_notes(notes, r.table[i], r.budget.latency_limit(), extrapolated);
  }
}

}  // namespace hac
