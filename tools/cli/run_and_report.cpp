#include "tools/cli/run_and_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "models/train/interrupt.h"
#include "tools/cli/run_tasks.h"
#include "tools/cli/task_farm.h"
#include "tools/report/findings.h"
#include "tools/report/report.h"

namespace hac {
namespace {

// Ctrl-C while nothing trains: every finished stage is on disk and the others begin again, so there
// is nothing to wait for. A training has its own way to stop (models/train/train.cpp).
void end_with_hint(int) {
  constexpr std::string_view line =
      "hacscale: interrupted; what was finished is saved (hint: the same command resumes it)\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(130);
}

std::string table_of(const ChosenNetworks& chosen) {
  std::string text =
      fmt::format("{:<30}{:>12}{:>8}{:>12}{:>14}{:>6}{:>12}  {}\n", "network", "predicted ms", "",
                  "parameters", "MACs", "px", "memory", "ended by");
  const double baseline_ms = chosen.networks.front().predicted_ms;
  for (const ChosenNetwork& n : chosen.networks) {
    text += fmt::format("{:<30}{:>12.4g}{:>7.2f}x{:>12}{:>14}{:>6}{:>8.2f} MiB  {}\n", n.method,
                        n.predicted_ms, n.predicted_ms / baseline_ms, grouped(n.params),
                        grouped(n.macs), n.resolution,
                        static_cast<double>(n.memory_bytes) / (1 << 20), n.limit);
  }
  text += fmt::format("predicted by {}\n", chosen.latency_by);
  for (const ChosenNetwork& n : chosen.networks) {
    if (!n.note.empty()) text += fmt::format("{}: {}\n", n.method, n.note);
  }
  for (const std::string& note : chosen.notes) text += fmt::format("note: {}\n", note);
  return text;
}

void choose_and_print(const Recipe& recipe, const RunOptions& o) {
  ChosenNetworks chosen = choose_networks(recipe, o.experiment);
  if (o.json) return print_json(to_json(chosen.fields()));
  fmt::print("{}\nnext: hacscale train {}/architecture-METHOD.json\n", table_of(chosen),
             o.experiment.out);
}

void run_and_print(const Recipe& recipe, const RunOptions& o) {
  const std::string folder = o.experiment.out + "/report";
  make_folder(folder);
  const Results results = run_experiment(recipe, o.experiment);
  const std::string text = to_json(results);
  const std::string page = write_report(folder, results, text);
  fmt::print("{}", o.json ? text : render_result_table(results) + "\n" + render_claims(results));
  if (!o.json) fmt::print("\nreport: {}\n", page);
  if (const std::string line = report::unsteady_text(results); !line.empty()) {
    print(stderr, fmt::format("warning: {}\n", line));
  }
}

void list(const Recipe& recipe, const RunOptions& o) {
  print_tasks(list_tasks(recipe, o.experiment), o.experiment, o.json);
}

void require_one_way(const RunOptions& o) {
  if (o.list_tasks + o.merge + o.task.has_value() > 1) {
    throw ConfigError("options '--list-tasks', '--task' and '--merge': expected one of them");
  }
}

}  // namespace

void run_and_report(Recipe recipe, RunOptions o, const std::string& command) {
  ExperimentOptions& e = o.experiment;
  if (e.out.empty()) throw ConfigError("option '--out': expected a folder, got none");
  require_one_way(o);
  require_makeable(e.out + "/report");
  if (!o.latency_model.empty()) recipe.latency.file = o.latency_model;
  if (!o.device_model.empty()) recipe.latency.device_model = o.device_model;
  recipe.latency.foreign |= o.foreign_latency;
  recipe.train.data.quiet = e.quiet;
  e.command = command;
  e.where = start(o.machine);
  e.keep_weights = e.trainings.empty();
  for (const int signal : stop_signals()) std::signal(signal, end_with_hint);
  if (o.list_tasks) return list(recipe, o);
  if (o.task) return run_and_print_task(recipe, e, *o.task, o.json);
  const auto run = [&] {
    o.networks_only ? choose_and_print(recipe, o) : run_and_print(recipe, o);
  };
  e.train = !o.merge;
  if (o.merge) {
    try {
      return run();
    } catch (const TrainingsMissing&) {
      list(recipe, o);
      throw;
    }
  }
  const auto world = open_communicator();
  if (world->size() == 1) return run();
  e.train = false;
  farm_out(*world, run, e.quiet);
}

}  // namespace hac
