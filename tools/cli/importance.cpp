// hacscale importance: how much each layer's kernels matter, and the law that follows from several
// widths.

#include "scaling/importance/importance.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "data/sets/holdout.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "models/train/checkpoint.h"
#include "scaling/importance/law.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

constexpr std::uint64_t max_sample_bytes = 1 << 28;

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  TrainOptions train;
  MachineOptions machine;
  std::string checkpoint;
  std::int64_t minibatches = 0;
  KernelReduction reduction = KernelReduction::mean;
  std::vector<std::string> fit;
  FitOptions law;
  bool json = false;
};

// A trained network is only looked at: one epoch at learning rate 0 changes no weight.
void hold_still(TrainConfig& c) {
  c.epochs = 1;
  c.schedule = {.lr = 0};
  c.out.clear();
  c.resume = false;
  c.evaluate_test = false;
}

Json observation_json(const Architecture& arch, const TrainConfig& c, KernelReduction reduction,
                      std::int64_t minibatches, const std::vector<LayerImportance>& layers) {
  Json rows = Json::array();
  for (const LayerImportance& l : layers) {
    rows.push_back({{"layer", l.layer},
                    {"width", l.width},
                    {"importance", l.reduce(reduction)},
                    {"kernels", l.kernels}});
  }
  return {{"model", arch.name},
          {"resolution", arch.resolution},
          {"data", c.data.name},
          {"seed", c.seed},
          {"batch", c.batch},
          {"epochs", c.epochs},
          {"minibatches", minibatches},
          {"reduction", to_string(reduction)},
          {"layers", rows}};
}

void print_observation(const Json& j) {
  fmt::print("{:<24}  {:>6}  {:>12}\n", "Layer", "Width", "Importance");
  for (const Json& l : j["layers"]) {
    fmt::print("{:<24}  {:>6}  {:>12.4e}\n", l["layer"].get<std::string>(), l["width"].get<int>(),
               l["importance"].get<double>());
  }
}

void observe(const Options& o, const std::string& command) {
  TrainConfig c = finish(o.train, o.model);
  c.select = Selection::last;  // whose weights the observed gradients belong to
  if (!o.checkpoint.empty()) hold_still(c);
  require_f32_weights(o.machine);
  const TensorOptions where = start(o.machine);
  const DataSplit whole = o.checkpoint.empty() ? open_data(c.data)
                                               : open_data_for(checkpoint_data(o.checkpoint),
                                                               o.checkpoint, c.data, Parts::both);
  const DataSplit data = hold_out(whole, c.validation, c.seed);
  if (!c.quiet) print_notes(c.data.name, data.notes);
  Model model = make_model(o.checkpoint.empty() ? resolve_for(o.model, *data.train)
                                                : checkpoint_architecture(o.checkpoint),
                           c.seed, where, o.checkpoint);
  if (o.checkpoint.empty()) initialize(o.train, model);
  const std::int64_t epoch = steps_per_epoch(data.train->size(), c.batch);
  ImportanceObserver observer(o.minibatches > 0 ? o.minibatches : epoch);
  const TrainResult result = train(model, data, c, &observer);
  if (result.interrupted) {
    throw Interrupted(
        fmt::format("interrupted after step {} ({})", result.steps, resume_hint(c, command)));
  }
  const Json j =
      observation_json(model.arch(), c, o.reduction, observer.observed(), observer.result(model));
  o.json ? print_json(j) : print_observation(j);
}

// Adds one observation to every layer's samples.
void add_samples(const std::string& path, std::vector<LayerSamples>& layers) {
  try {
    const Json j = Json::parse(read_file(path, max_sample_bytes));
    const Json& rows = j.at("layers");
    if (layers.empty()) {
      for (const Json& row : rows) layers.push_back({.layer = row.at("layer"), .samples = {}});
    }
    bool same = rows.size() == layers.size();
    for (std::size_t l = 0; same && l < layers.size(); ++l) {
      same = rows[l].at("layer") == layers[l].layer;
      layers[l].samples.push_back({.width = rows[l].at("width"),
                                   .importance = rows[l].at("importance"),
                                   .seed = j.at("seed"),
                                   .resolution = j.at("resolution")});
    }
    if (!same) {
      throw ConfigError(
          fmt::format("importance '{}': expected the layers of the first file, got others", path));
    }
  } catch (const Json::exception& e) {
    throw ConfigError(fmt::format(
        "importance '{}': expected the output of hacscale importance --json: {}", path, e.what()));
  }
}

void fit_files(const Options& o) {
  std::vector<LayerSamples> layers;
  for (const std::string& path : o.fit) add_samples(path, layers);
  const std::vector<ImportanceLaw> laws = fit_laws(layers, o.law);
  if (const std::string note = collinearity_note(layers); !note.empty()) {
    print(stderr, fmt::format("note: {}\n", note));
  }
  if (o.json) return fmt::print("{}\n", to_json(laws));
  fmt::print("{:<24}  {:>12}  {:>8}  {:>7}  {}\n", "Layer", "a", "b", "R^2", "I = a * C^b");
  for (const ImportanceLaw& law : laws) {
    fmt::print("{:<24}  {:>12.4e}  {:>8.3f}  {:>7.3f}  {}\n", law.layer, law.a, law.b, law.r2,
               law.warning);
  }
}

}  // namespace

void add_importance(CLI::App& app, const std::string& command) {
  CLI::App* verb = app.add_subcommand("importance", "Importance of every layer, and its law");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_options(
      *verb,
      Fields()
          .add("checkpoint", o->checkpoint,
               "observe this network for an epoch, on its own data unless --data names others; "
               "do not train",
               {.type = "FILE"})
          .add("minibatches", o->minibatches, {0}, "observe the last N; 0 = an epoch")
          .add("reduction", o->reduction, "from kernels to a layer")
          .add("relative", o->law.relative, "weigh the fit by 1 / importance")
          .add("strict", o->law.strict, "refuse a law that grows with the width"));
  verb->add_option("--fit", o->fit, "fit the laws to these outputs of --json, one a width")
      ->type_name("FILE");
  add_data_options(*verb, o->train.config.data);
  add_train_options(*verb, o->train);
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale importance vgg11 --width 0.25 --epochs 2 --json > w025.json\n"
      "then:    hacscale importance --fit w*.json --json > laws.json");
  verb->callback([o, verb, &command] {
    // A trained network is observed on its own data, unless others are named.
    if (!o->checkpoint.empty() && verb->count("--data") == 0) o->train.config.data.name.clear();
    o->fit.empty() ? observe(*o, command) : fit_files(*o);
  });
}

}  // namespace hac
