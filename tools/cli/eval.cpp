// hacscale eval: a checkpoint on the test set.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/core/error.h"
#include "models/deploy/inference_session.h"
#include "models/train/checkpoint.h"
#include "models/train/train.h"
#include "scaling/experiment/alpha.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  std::string checkpoint;
  ModelOptions model{.model = ""};
  DataConfig data{.name = ""};
  MachineOptions machine;
  std::int64_t batch = 256;
  bool json = false;
};

void eval(const Options& o) {
  const TensorOptions where = start(o.machine);
  DataConfig config = o.data;
  const DataSplit data =
      open_data_for(checkpoint_data(o.checkpoint), o.checkpoint, config, Parts::test);
  print_notes(config.name, data.notes);
  const bool named = !o.model.model.empty();
  Model model =
      make_model(named ? resolve_for(o.model, *data.test) : checkpoint_architecture(o.checkpoint),
                 0, where, o.checkpoint);
  std::optional<InferenceSession> net;  // the network as it would be deployed
  const auto deployed = [&](const Tensor& images) {
    if (!net || net->graph().input[0] != images.shape()[0]) net.emplace(model, images.shape()[0]);
    return net->run(images);
  };
  const EvalResult r = parse_dtype(o.machine.weights) == Dtype::f32
                           ? evaluate(model, data.test, o.batch)
                           : evaluate(model, data.test, o.batch, deployed);
  const Interval top1 = interval95(r.top1, r.images);
  if (o.json) {
    return print_json({{"checkpoint", o.checkpoint},
                       {"model", model.arch().name},
                       {"data", config.name},
                       {"images", r.images},
                       {"loss", r.loss},
                       {"top1", r.top1},
                       {"top1_interval95", {top1.low, top1.high}},
                       {"top5", r.top5}});
  }
  print_rows(stdout, {{"model", model.arch().name},
                      {"data", fmt::format("{}, {} test images", config.name, r.images)},
                      {"test loss", fmt::format("{:.4f}", r.loss)},
                      {"test top-1", percent(top1) + " (95 %)"},
                      {"test top-5", fmt::format("{:.2f} %", 100 * r.top5)}});
}

}  // namespace

void add_eval(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("eval", "Accuracy of a checkpoint on a test set");
  const auto o = std::make_shared<Options>();
  verb->add_option("checkpoint,--checkpoint", o->checkpoint, "safetensors with PyTorch names")
      ->required();
  add_model_options(*verb, o->model, "--model");
  add_data_options(*verb, o->data);
  add_options(*verb, Fields().add("batch", o->batch, {1, 65536}, "images a step"));
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale eval runs/a/best.safetensors\n"
      "The data set and the network are those of the training unless --data or --model say\n"
      "otherwise. Images are prepared as the checkpoint says and classes taken by name, whatever\n"
      "the set; of a folder only val/ need be there.");
  verb->callback([o] { eval(*o); });
}

}  // namespace hac
