#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/experiment/results.h"

namespace hac {
namespace {

// Every dimension is written, also without points.
void add_sweeps(Results& r) {
  for (const char* dimension : {"width", "depth", "resolution"}) {
    if (std::none_of(r.sweeps.begin(), r.sweeps.end(),
                     [&](const Sweep& s) { return s.dimension == dimension; })) {
      r.sweeps.push_back({.dimension = dimension, .points = {}});
    }
  }
}

Fields fields_of(Results& r, int& schema) {
  const FieldDetails optional{.optional = true};
  Fields sweeps;
  for (Sweep& s : r.sweeps) sweeps.add(s.dimension, s.points, optional);
  return Fields()
      .add("schema", schema, {1, 1})
      .add("recipe", r.recipe)
      .add("command", r.command, optional)
      .add("created", r.created, optional)
      .add("baseline", r.baseline, optional)
      .add("seeds", r.seeds, optional)
      .add("settings", r.settings, optional)
      .add("machine", r.machine, optional)
      .add("modelled", r.modelled, optional)
      .add("sweep_model", r.sweep_model, optional)
      .add("versions", r.versions, optional)
      .add("dataset", r.dataset, optional)
      .add("training", r.training, optional)
      .add("budget",
           limits_of(r.budget)
               .add("latency_text", r.latency_text, optional)
               .add("params_text", r.params_text, optional),
           optional)
      .add("accuracy",
           Fields()
               .add("table", r.table_accuracy, optional)
               .add("alpha", r.alpha_accuracy, optional),
           optional)
      .add("table", r.table, optional)
      .add("sweeps", sweeps, optional)
      .add("other_sweeps", r.other_sweeps, optional)
      .add("importance", r.importance, optional)
      .add("alpha", r.alpha, optional)
      .add("plans", r.plans, optional)
      .add("latency_models", r.latency_models, optional)
      .add("profiles", r.profiles, optional)
      .add("staircase", r.staircase, optional)
      .add("energy_reason", r.energy_reason, optional)
      .add("unsteady_figures", r.unsteady_figures, {.optional = true, .whole = true})
      .add("notes", r.notes, optional)
      .add("explanation", r.explanation, optional)
      .add("claims", r.claims, optional)
      .add("evaluations", r.evaluations, {.omit = r.evaluations.empty(), .optional = true});
}

// Lists are of settings alone.
void require_single_values(const Facts& facts, const char* section) {
  for (const auto& [key, value] : facts) {
    if (!std::holds_alternative<std::vector<AnyValue>>(value)) continue;
    throw ConfigError(fmt::format(
        "results '{}.{}': expected a string, number or true or false, got array", section, key));
  }
}

}  // namespace

std::string to_json(const Results& results) {
  Results copy = results;
  int schema = 1;
  add_sweeps(copy);
  // Sorted by key.
  const nlohmann::json json = to_json(fields_of(copy, schema));
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Results results_from_json(const std::string& text) {
  Results r;
  int schema = 0;
  add_sweeps(r);
  read_json(parse_json(text, "results"), fields_of(r, schema), "results", "",
            {.record = true, .largest = 1e18});
  std::erase_if(r.sweeps, [](const Sweep& s) { return s.points.empty(); });
  for (const NetworkEvaluation& e : r.evaluations) {
    validate(e.details, fmt::format("results 'evaluations' of {}", e.network));
  }
  require_single_values(r.machine, "machine");
  require_single_values(r.versions, "versions");
  require_single_values(r.dataset, "dataset");
  require_single_values(r.training, "training");
  return r;
}

}  // namespace hac
