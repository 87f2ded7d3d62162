#include "tools/cli/program.h"

#include <CLI/CLI.hpp>

#include "tools/cli/commands.h"

namespace hac {

void describe_program(CLI::App& app, const std::string& command) {
  app.name("hacscale");
  app.description("Train, measure and scale convolutional networks (HACScale).");
  app.set_version_flag("--version", "hacscale " HAC_VERSION);
  app.set_help_flag("--help,-h", "print this help");
  app.option_defaults()->always_capture_default();
  app.require_subcommand(1);
  app.footer(
      "Results go to stdout, messages to stderr. Exit codes: 0 ok, 1 failed, 2 bad usage or\n"
      "config, 3 device or memory, 75 trainings are missing (run --merge), 130 interrupted.\n"
      "Ctrl-C, SIGTERM, SIGHUP (unless nohup ignores it), SIGUSR1, SIGUSR2 and SIGXCPU save what\n"
      "train and run have done, then end with 130.\n"
      "Start with: hacscale run quick --out quick");
#define HAC_ADD_VERB(name) add_##name(app, command);
  HAC_VERBS(HAC_ADD_VERB)
#undef HAC_ADD_VERB
}

}  // namespace hac
