// hacscale run: the whole pipeline, from a recipe to a report.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <optional>
#include <string_view>

#include "engine/io/file.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "models/train/interrupt.h"
#include "scaling/experiment/experiment.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"
#include "tools/cli/recipes.h"
#include "tools/report/findings.h"
#include "tools/report/report.h"

namespace hac {
namespace {

struct Options {
  std::string recipe, out, data_dir;
  std::optional<BadImages> bad_images;
  MachineOptions machine;
  bool list = false, print = false, quiet = false, json = false, allow_unsteady = false;
};

// Ctrl-C while nothing trains: every finished stage is on disk and the others begin again, so there
// is nothing to wait for. A training has its own way to stop (models/train/train.cpp).
void end_with_hint(int) {
  constexpr std::string_view line =
      "hacscale run: interrupted; what was finished is saved (hint: the same command resumes it)\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  ::_exit(130);
}

void run(const Options& o, const std::string& command) {
  if (o.list) {
    for (const std::string& name : recipe_names()) fmt::print("{}\n", name);
    return;
  }
  if (o.recipe.empty()) {
    throw ConfigError(fmt::format("recipe: expected a .toml file or one of {}, got none",
                                  fmt::join(recipe_names(), ", ")));
  }
  Recipe recipe = load_recipe(o.recipe);
  if (o.print) {
    fmt::print("{}", o.json ? to_json(recipe) + "\n" : recipe_text(o.recipe));
    return;
  }
  if (o.out.empty()) throw ConfigError("option '--out': expected a folder, got none");
  require_makeable(o.out + "/report");
  if (!o.data_dir.empty()) recipe.train.data.dir = o.data_dir;
  if (o.bad_images) recipe.train.data.bad_images = *o.bad_images;
  recipe.train.data.quiet = o.quiet;
  const TensorOptions where = start(o.machine);
  make_folder(o.out + "/report");
  for (const int signal : stop_signals()) std::signal(signal, end_with_hint);
  const Results results = run_experiment(recipe, {.out = o.out,
                                                  .command = command,
                                                  .quiet = o.quiet,
                                                  .where = where,
                                                  .allow_unsteady = o.allow_unsteady});
  const std::string page = o.out + "/report/index.html", text = to_json(results);
  write_file_atomically(page, render_report(results, text));
  fmt::print("{}", o.json ? text : render_result_table(results));
  if (!o.json) fmt::print("\nreport: {}\n", page);
  if (const std::string line = report::unsteady_text(results); !line.empty()) {
    print(stderr, fmt::format("warning: {}\n", line));
  }
}

}  // namespace

void add_run(CLI::App& app, const std::string& command) {
  CLI::App* verb =
      app.add_subcommand("run", "The whole of HACScale: train, search, scale, measure, report");
  const auto o = std::make_shared<Options>();
  verb->add_option(
      "recipe", o->recipe,
      "a .toml file, or a built-in recipe: " + fmt::format("{}", fmt::join(recipe_names(), ", ")));
  add_options(
      *verb,
      Fields()
          .add("out", o->out, "folder of the results; a run that was cut off is resumed there",
               {.type = "DIR"})
          .add("data_dir", o->data_dir, "folder of the data set, over the recipe's",
               {.type = "DIR"})
          .add("bad_images", o->bad_images,
               "of an image folder, over the recipe's: see hacscale train --help")
          .add("list", o->list, "name the built-in recipes")
          .add("print", o->print, "print the recipe instead of running it")
          .add("quiet", o->quiet, "no progress")
          .add("allow_unsteady", o->allow_unsteady,
               "choose networks by times that a busy machine disturbed, instead of waiting for it "
               "(pauses of two minutes in all) and giving up; for shared machines such as CI"));
  add_machine_options(*verb, o->machine);
  add_json_option(*verb, o->json);
  verb->footer(
      "Example: hacscale run quick --out quick\n"
      "The same command resumes it after Ctrl-C, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 or SIGXCPU "
      "(exit\n"
      "code 130), or kill -9.");
  verb->callback([o, &command] { run(*o, command); });
}

}  // namespace hac
