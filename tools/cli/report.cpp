// hacscale report: the page of a run that has ended, drawn again.

#include "tools/report/report.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/io/file.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

constexpr std::uint64_t max_results_bytes = 1 << 28;

void report(const std::string& folder, bool json) {
  require_makeable(folder + "/report");
  const std::string text = read_file(folder + "/results.json", max_results_bytes);
  const Results results = results_from_json(text);
  const std::string page = write_report(folder + "/report", results, text);
  fmt::print("{}", json ? text : render_result_table(results));
  if (!json) fmt::print("\nreport: {}\n", page);
}

}  // namespace

void add_report(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand(
      "report",
      "Draw DIR/report/index.html, and DIR/report/data with the figures as SVG and their "
      "values in CSV and JSON, from DIR/results.json");
  struct Options {
    std::string folder;
    bool json = false;
  };
  const auto o = std::make_shared<Options>();
  verb->add_option("folder", o->folder, "the --out of hacscale run")->type_name("DIR")->required();
  add_json_option(*verb, o->json);
  verb->footer("Example: hacscale report quick");
  verb->callback([o] { report(o->folder, o->json); });
}

}  // namespace hac
