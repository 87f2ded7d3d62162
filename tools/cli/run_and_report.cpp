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

void require_results_folder(const std::string& out) {
  if (out.empty()) throw ConfigError("option '--out': expected a folder, got none");
  require_makeable(out + "/report");
}

void run_and_report(const Recipe& recipe, const ExperimentOptions& options, bool json) {
  make_folder(options.out + "/report");
  for (const int signal : stop_signals()) std::signal(signal, end_with_hint);
  const Results results = run_experiment(recipe, options);
  const std::string text = to_json(results);
  const std::string page = write_report(options.out + "/report", results, text);
  fmt::print("{}", json ? text : render_result_table(results) + "\n" + render_claims(results));
  if (!json) fmt::print("\nreport: {}\n", page);
  if (const std::string line = report::unsteady_text(results); !line.empty()) {
    print(stderr, fmt::format("warning: {}\n", line));
  }
}

}  // namespace hac
