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
  std::string recipe, out, data_dir, trainings, device_model, latency_model;
  std::vector<std::string> settings;
  std::optional<BadImages> bad_images;
  MachineOptions machine;
  bool list = false, print = false, quiet = false, json = false, allow_unsteady = false;
  bool foreign_latency = false;
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
    fmt::print("{}", o.json ? to_json(recipe) + "\n" : recipe_text(o.recipe));
    for (const std::string& s : o.settings) {
      if (!o.json) fmt::print("# --set {}\n", s);
    }
    return;
  }
  require_results_folder(o.out);
  if (!o.data_dir.empty()) recipe.train.data.dir = o.data_dir;
  if (!o.latency_model.empty()) recipe.latency.file = o.latency_model;
  recipe.latency.foreign |= o.foreign_latency;
  if (!o.device_model.empty()) recipe.latency.device_model = o.device_model;
  if (o.bad_images) recipe.train.data.bad_images = *o.bad_images;
  recipe.train.data.quiet = o.quiet;
  const TensorOptions where = start(o.machine);
  run_and_report(recipe,
                 {.out = o.out,
                  .command = command,
                  .quiet = o.quiet,
                  .where = where,
                  .allow_unsteady = o.allow_unsteady,
                  .trainings = o.trainings,
                  .keep_weights = o.trainings.empty()},
                 o.json);
}

}  // namespace

void add_run(CLI::App& app, const std::string& command) {
  CLI::App* verb =
      app.add_subcommand("run", "The whole of HACScale: train, search, scale, measure, report");
  const auto o = std::make_shared<Options>();
  verb->add_option(
      "recipe", o->recipe,
      "a .toml file, or a built-in recipe: " + fmt::format("{}", fmt::join(recipe_names(), ", ")));
  verb->add_option("--set", o->settings,
                   "over the recipe's value, as often as wanted: train.epochs=30, "
                   "scale.latency=1.5x, 'seeds=[1, 2]'; keys as in --print")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_options(
      *verb,
      Fields()
          .add("out", o->out, "folder of the results; a run that was cut off is resumed there",
               {.type = "DIR"})
          .add("data_dir", o->data_dir, "folder of the data set, over the recipe's",
               {.type = "DIR"})
          .add("bad_images", o->bad_images,
               "of an image folder, over the recipe's: see hacscale train --help")
          .add("latency_model", o->latency_model,
               "a saved model, over the recipe's: device.json of latency-table", {.type = "FILE"})
          .add("foreign_latency", o->foreign_latency, "take one of another device too")
          .add("device_model", o->device_model, device_model_help, {.type = "NAME"})
          .add("trainings", o->trainings, trainings_help, {.type = "DIR"})
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
