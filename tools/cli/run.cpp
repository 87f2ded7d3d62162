// hacscale run: the whole pipeline, from a recipe to a report.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>

#include "kernels/core/error.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"
#include "tools/cli/recipes.h"
#include "tools/cli/run_and_report.h"

namespace hac {
namespace {

struct Options {
  std::string recipe, data_dir;
  std::vector<std::string> settings;
  std::optional<BadImages> bad_images;
  RunOptions run;
  bool list = false, print = false;
};

void run(const Options& o, const std::string& command) {
  if (o.list) {
    for (const std::string& name : recipe_names()) fmt::print("{}\n", name);
    return;
  }
  if (o.recipe.empty()) {
    throw ConfigError(fmt::format("recipe: expected a .toml file or one of {}, got none",
                                  fmt::join(recipe_names(), ", ")));
  }
  Recipe recipe = load_recipe(o.recipe, o.settings);
  if (o.print) {
    fmt::print("{}", o.run.json ? to_json(recipe) + "\n" : recipe_text(o.recipe));
    for (const std::string& s : o.settings) {
      if (!o.run.json) fmt::print("# --set {}\n", s);
    }
    return;
  }
  if (!o.data_dir.empty()) recipe.train.data.dir = o.data_dir;
  if (o.bad_images) recipe.train.data.bad_images = *o.bad_images;
  run_and_report(std::move(recipe), o.run, command);
}

}  // namespace

void add_run(CLI::App& app, const std::string& command) {
  CLI::App* verb =
      app.add_subcommand("run", "The whole of HACScale: train, search, scale, measure, report");
  const auto o = std::make_shared<Options>();
  verb->add_option(
      "recipe", o->recipe,
      fmt::format("a .toml file, or a built-in recipe: {}", fmt::join(recipe_names(), ", ")));
  verb->add_option("--set", o->settings,
                   "over the recipe's value, as often as wanted: train.epochs=30, "
                   "scale.latency=1.5x, 'seeds=[1, 2]'; keys as in --print")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_options(*verb, Fields()
                         .add("data_dir", o->data_dir, "folder of the data set, over the recipe's",
                              {.type = "DIR"})
                         .add("bad_images", o->bad_images,
                              "of an image folder, over the recipe's: see hacscale train --help")
                         .add(o->run.fields())
                         .add("list", o->list, "name the built-in recipes")
                         .add("print", o->print, "print the recipe instead of running it"));
  add_machine_options(*verb, o->run.machine, o->run.json);
  verb->footer(
      "Example: hacscale run quick --out quick\n"
      "The same command resumes it after Ctrl-C, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 or SIGXCPU\n"
      "(exit code 130), or kill -9.\n"
      "On many machines: mpirun -np 8 hacscale run claims --threads 1 --out claims; or repeat\n"
      "--merge (exit code 75 until it is finished) and, for each task that it lists, --task N:\n"
      "tools/README.md, tools/slurm.");
  verb->callback([o, &command] { run(*o, command); });
}

}  // namespace hac
