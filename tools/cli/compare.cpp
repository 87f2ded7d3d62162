// hacscale compare: scaling methods under one budget, one trainer and one latency meter.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "scaling/methods/method.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"
#include "tools/cli/run_and_report.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  TrainOptions train;
  Recipe recipe;
  std::vector<std::string> methods;
  ExperimentOptions experiment;
  MachineOptions machine;
  bool json = false;
};

std::vector<std::string> chosen(const std::vector<std::string>& keys) {
  if (keys != std::vector<std::string>{"all"}) return keys;
  std::vector<std::string> all;
  for (const Method& m : methods()) all.push_back(m.key);
  return all;
}

void compare(Options o, const std::string& command) {
  require_results_folder(o.experiment.out);
  Recipe& r = o.recipe;
  r.name = "compare";
  r.model = o.model.model;
  r.arch = o.model.arch;
  r.train = finish(o.train, o.model);
  r.train.validation = 0;  // of the table's networks: all images train
  r.scale.methods = chosen(o.methods);
  r.scale.gains.clear();
  r.scale.all_limits = true;
  for (ProxyTraining* proxy : {&r.importance.proxy, &r.alpha.proxy}) {
    proxy->epochs = r.search.epochs;
    proxy->limit_train = r.search.limit_train;
    proxy->validation = r.search.validation;
  }
  r.alpha.proxy.seeds = r.search.seeds;
  r.importance.sampling.round_to = 1;  // a slim network has few widths
  if (!r.scale.latency.empty()) r.alpha.largest_growth = 0.5;
  r.alpha.growth = r.scale.latency.empty() ? 2 : 64;
  o.experiment.command = command;
  o.experiment.quiet = r.train.quiet;
  o.experiment.where = start(o.machine);
  o.experiment.keep_weights = o.experiment.trainings.empty();
  run_and_report(r, o.experiment, o.json);
}

}  // namespace

void add_compare(CLI::App& app, const std::string& command) {
  CLI::App* verb = app.add_subcommand(
      "compare", "Scale a network by several methods under one budget, train and measure them all");
  const auto o = std::make_shared<Options>();
  Recipe& r = o->recipe;
  r.scale.latency = "1.5x";
  r.scale.params = "";
  r.search.epochs = 3;
  r.search.validation = 0.1;
  add_model_options(*verb, o->model);
  add_data_options(*verb, o->train.config.data);
  o->train.config.schedule.kind = ScheduleKind::cosine;
  Fields training = o->train.config.fields();
  // What is trained is kept by what to_json() says of it: nothing else may decide on it.
  for (const char* key : {"data", "validation", "seed", "max_steps", "save_gradients"}) {
    training = training.without(key);
  }
  add_options(*verb, training, "Training");
  const std::string what = fmt::format("all, or of {}", [] {
    std::vector<std::string> keys;
    for (const Method& m : methods()) keys.push_back(m.key);
    return fmt::format("{}", fmt::join(keys, ", "));
  }());
  o->methods = {"uniform-width", "resolution", "depth", "hacscale", "hacscale-per-latency"};
  add_options(
      *verb,
      Fields()
          .add("methods", o->methods, what)
          .add("latency", r.scale.latency, "limit: 1.5x of the baseline's prediction, or 3.2ms",
               {.type = "LIMIT"})
          .add("params", r.scale.params, "limit: 1.3x of the baseline's, or 12.9M; default none",
               {.type = "LIMIT"})
          .add("memory", r.scale.memory,
               "limit: 64MiB or 1.5x, of weights and peak activations of one image in f32",
               {.type = "LIMIT"})
          .add("stride", r.scale.widening.stride, {1, 65536}, "kernels added in a step")
          .add("seeds", r.seeds, "trainings of each network of the table")
          .add("proxy_epochs", r.search.epochs, {1}, "of trainings while methods search")
          .add("proxy_images", r.search.limit_train, {0}, "of these; 0 = all")
          .add("proxy_validation", r.search.validation, {0},
               "of these, a part or number that is held out to compare them by; the test images "
               "choose nothing")
          .add("proxy_seeds", r.search.seeds, "of these")
          .add("descent", r.search.prune.descent, {0, 100},
               "how often NeuralScale prunes what its fit gave")
          .add("latency_model", r.latency.file,
               "a saved model instead of measuring one: device.json of latency-table",
               {.type = "FILE"})
          .add("foreign_latency", r.latency.foreign, "take one of another device too")
          .add("device_model", r.latency.device_model, device_model_help, {.type = "NAME"})
          .add("trainings", o->experiment.trainings, trainings_help, {.type = "DIR"})
          .add("allow_unsteady", o->experiment.allow_unsteady,
               "choose networks by times that a busy machine disturbed")
          .add("out", o->experiment.out, "folder of the results; the same command resumes there",
               {.type = "DIR"})
          .add("quiet", o->train.config.quiet, "no progress"));
  add_machine_options(*verb, o->machine);
  add_json_option(*verb, o->json);
  verb->footer(
      "Example: hacscale compare vgg11 --width 0.25 --data cifar10 --data-dir DIR --methods all\n"
      "--latency 1.5x --epochs 15 --seeds 1,2,3 --out compared");
  verb->callback([o, &command] { compare(*o, command); });
}

}  // namespace hac
