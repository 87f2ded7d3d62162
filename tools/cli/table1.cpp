// hacscale table1: the paper's Table I beside the networks rebuilt from it.

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/print.h"
#include "scaling/paper/table1_report.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

void print_table1(bool json) {
  const Table1Report report = table1_report();
  if (json) return print_json(to_json(fields_of(report)));
  print(stdout, to_text(report));
}

}  // namespace

void add_table1(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand(
      "table1", "The paper's Table I: our networks and counts beside the printed figures");
  const auto json = std::make_shared<bool>(false);
  add_json_option(*verb, *json);
  verb->footer("Example: hacscale table1 --json");
  verb->callback([json] { print_table1(*json); });
}

}  // namespace hac
