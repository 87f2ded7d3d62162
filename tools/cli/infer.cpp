// hacscale infer: what a trained network sees in image files.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <new>
#include <nlohmann/json.hpp>

#include "engine/io/print.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "models/deploy/classify.h"
#include "models/train/checkpoint.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  std::string checkpoint;
  std::vector<std::string> files;
  MachineOptions machine;
  std::size_t top = 5;
  bool json = false;
};

nlohmann::ordered_json json_of(const std::string& file, const std::vector<Guess>& guesses) {
  nlohmann::ordered_json top = nlohmann::ordered_json::array();
  for (const Guess& g : guesses) {
    top.push_back({{"class", g.name}, {"index", g.index}, {"probability", g.probability}});
  }
  return {{"image", file}, {"top", top}};
}

std::string text_of(const std::string& file, const std::vector<Guess>& guesses) {
  std::string text = file + "\n";
  for (const Guess& g : guesses) {
    text += fmt::format("  {:6.2f} %  {}\n", 100 * g.probability, g.name);
  }
  return text;
}

void infer(Options o) {
  if (o.checkpoint.empty() && !o.files.empty()) {
    o.checkpoint = o.files[0];
    o.files.erase(o.files.begin());
  }
  if (o.checkpoint.empty() || o.files.empty()) {
    throw ConfigError("arguments: expected CHECKPOINT IMAGE..., got " +
                      std::string(o.checkpoint.empty() ? "neither" : "no image"));
  }
  const TensorOptions where = start(o.machine);
  const std::optional<TrainedOn> known = checkpoint_data(o.checkpoint);
  if (!known) {
    throw IoError(
        fmt::format("checkpoint '{}': no 'preprocess' in its metadata, which says how images are "
                    "prepared",
                    o.checkpoint));
  }
  const TrainedOn& trained = *known;
  const Architecture arch = checkpoint_architecture(o.checkpoint);
  try {
    require_fits(trained, arch);
  } catch (const ConfigError& e) {
    throw IoError(fmt::format("checkpoint '{}': {}", o.checkpoint, e.what()));
  }
  InferenceSession net(make_model(arch, 0, where, o.checkpoint));
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::string bad;  // the last image that failed, for the end
  const auto failed = [&](const std::string& file, const std::string& why) {
    if (!bad.empty()) print(stderr, fmt::format("hacscale infer: {}\n", one_line(bad)));
    bad = why;
    json.push_back({{"image", file}, {"error", bad}});
  };
  for (const std::string& file : o.files) {
    try {
      const std::vector<Guess> guesses = classify(net, file, trained, o.top);
      if (!o.json) fmt::print("{}", text_of(file, guesses));
      json.push_back(json_of(file, guesses));
    } catch (const DeviceError&) {
      throw;
    } catch (const Error& error) {
      failed(file, error.what());
    } catch (const std::bad_alloc&) {
      failed(file, fmt::format("image '{}': out of memory", file));
    }
  }
  if (o.json) print_json(json);
  if (!bad.empty()) throw Error(bad);
}

}  // namespace

void add_infer(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("infer", "Classify image files with a checkpoint");
  const auto o = std::make_shared<Options>();
  verb->add_option("files", o->files, "a checkpoint of hacscale train, then JPEG or PNG files")
      ->type_name("CHECKPOINT IMAGE");
  add_options(*verb, Fields()
                         .add("checkpoint", o->checkpoint,
                              "the checkpoint; then all arguments are images", {.type = "FILE"})
                         .add("top", o->top, {1, 1000}, "classes an image"));
  add_machine_options(*verb, o->machine, o->json);
  verb->footer("Example: hacscale infer runs/a/model.safetensors photo.jpg");
  verb->callback([o] { infer(*o); });
}

}  // namespace hac
