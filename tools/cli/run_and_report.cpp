#include "tools/cli/run_and_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

#include "engine/io/file.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "models/train/interrupt.h"
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

}  // namespace

void run_and_report(Recipe recipe, RunOptions o, const std::string& command) {
  ExperimentOptions& e = o.experiment;
  if (e.out.empty()) throw ConfigError("option '--out': expected a folder, got none");
  const std::string folder = e.out + "/report";
  require_makeable(folder);
  if (!o.latency_model.empty()) recipe.latency.file = o.latency_model;
  if (!o.device_model.empty()) recipe.latency.device_model = o.device_model;
  recipe.latency.foreign |= o.foreign_latency;
  recipe.train.data.quiet = e.quiet;
  e.command = command;
  e.where = start(o.machine);
  e.keep_weights = e.trainings.empty();
  make_folder(folder);
  for (const int signal : stop_signals()) std::signal(signal, end_with_hint);
  const Results results = run_experiment(recipe, e);
  const std::string text = to_json(results);
  const std::string page = write_report(folder, results, text);
  fmt::print("{}", o.json ? text : render_result_table(results) + "\n" + render_claims(results));
  if (!o.json) fmt::print("\nreport: {}\n", page);
  if (const std::string line = report::unsteady_text(results); !line.empty()) {
    print(stderr, fmt::format("warning: {}\n", line));
  }
}

}  // namespace hac
