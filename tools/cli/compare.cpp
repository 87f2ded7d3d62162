// hacscale compare: scaling methods under one budget, one trainer and one latency meter.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "scaling/methods/method.h"
#include "tools/cli/commands.h"
#include "tools/cli/run_and_report.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  TrainOptions train;
  Recipe recipe;
  std::vector<std::string> methods;
  RunOptions run;
};

std::vector<std::string> method_keys() {
  std::vector<std::string> all;
  for (const Method& m : methods()) all.push_back(m.key);
  return all;
}

void compare(Options o, const std::string& command) {
  Recipe& r = o.recipe;
  r.name = "compare";
  r.model = o.model.model;
  r.arch = o.model.arch;
  o.train.config.quiet = o.run.experiment.quiet;
  r.train = finish(o.train, o.model);
  r.train.validation = 0;  // of the table's networks: all images train
  const bool all = o.methods == std::vector<std::string>{"all"};
  r.scale.methods = all ? method_keys() : o.methods;
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
  run_and_report(r, o.run, command);
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
  o->methods = {"uniform-width", "resolution", "depth", "hacscale", "hacscale-per-latency"};
  add_options(
      *verb,
      Fields()
          .add("methods", o->methods, fmt::format("all, or of {}", fmt::join(method_keys(), ", ")))
          .add(limit_fields(r.scale.latency, r.scale.params, r.scale.memory))
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
          .add(o->run.fields()));
  add_machine_options(*verb, o->run.machine, o->run.json);
  verb->footer(
      "Example: hacscale compare vgg11 --width 0.25 --data cifar10 --data-dir DIR --methods all\n"
      "--latency 1.5x --epochs 15 --seeds 1,2,3 --out compared");
  verb->callback([o, &command] { compare(*o, command); });
}

}  // namespace hac
