// hacscale import: a network that another program trained, or the weights alone of a checkpoint.
// ONNX files hold the network; of weights alone it is said by options or by a config.json.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "models/deploy/onnx.h"
#include "models/train/checkpoint.h"
#include "models/train/hub_config.h"
#include "models/train/run_folder.h"
#include "models/train/weights.h"
#include "models/zoo/timm_names.h"
#include "models/zoo/zoo.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string file, out, labels;
  ModelOptions model{.model = ""};
  std::vector<float> mean, std;
  std::optional<double> crop_pct;
  bool average = false, json = false;
};

// ImageNet's, as torchvision and timm prepare it where nothing else is said.
Preprocessing imagenet() {
  return {.crop_pct = 0.875,
          .normalization = {.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}}};
}

// What the file itself and a config.json beside it say.
struct Source {
  std::optional<OnnxImport> onnx;
  std::optional<TrainedOn> trained;
  std::optional<HubConfig> hub;
};

Source source_of(const Options& o) {
  Source s;
  if (o.file.ends_with(".onnx")) {
    if (!o.model.model.empty() || o.average) {
      throw ConfigError(fmt::format("option '{}': expected none, as '{}' holds its network",
                                    o.average ? "--average" : "--model", o.file));
    }
    s.onnx = from_onnx(o.file, o.model.arch.resolution);
    s.trained = s.onnx->data;
    return s;
  }
  s.trained = checkpoint_data(o.file);
  const fs::path config = fs::path(o.file).parent_path() / "config.json";
  if (s.trained || !fs::exists(config)) return s;
  s.hub = load_hub_config(config);
  // Of another network than is asked for, it is no description of this file.
  const std::string& model = o.model.model;
  if (!model.empty() && zoo_name_of_timm(s.hub->architecture) != model) s.hub.reset();
  return s;
}

Architecture architecture_of(const Options& o, const Source& s) {
  if (s.onnx) {
    refuse_arch_options(o.model.arch, o.file, "resolution");
    return s.onnx->arch;
  }
  if (!o.model.model.empty()) return resolve(o.model);
  if (has_architecture(o.file)) {
    refuse_arch_options(o.model.arch, o.file);
    return checkpoint_architecture(o.file);
  }
  if (!s.hub || s.hub->architecture.empty()) {
    throw ConfigError(fmt::format(
        "'{}': does not say which network it is, nor does a config.json beside it (hint: --model "
        "NAME)",
        o.file));
  }
  ModelOptions model{.model = zoo_name_of_timm(s.hub->architecture), .arch = o.model.arch};
  if (!model.arch.classes && s.hub->classes > 0) model.arch.classes = s.hub->classes;
  if (!model.arch.resolution && s.hub->preprocessing) {
    model.arch.resolution = s.hub->preprocessing->resolution;
  }
  return resolve(model);
}

std::array<float, 3> channels(const std::vector<float>& values, const char* option) {
  if (values.size() == 1) return {values[0], values[0], values[0]};
  if (values.size() == 3) return {values[0], values[1], values[2]};
  throw ConfigError(
      fmt::format("option '{}': expected 1 or 3 numbers, got {}", option, values.size()));
}

std::vector<std::string> lines_of(const std::string& path) {
  std::istringstream text(read_file(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

// The names of the classes. Notes say what was assumed.
std::vector<std::string> labels_of(const Options& o, const Source& s, const Architecture& arch,
                                   std::vector<std::string>& notes) {
  std::vector<std::string> names;
  if (!o.labels.empty()) {
    names = lines_of(o.labels);
  } else if (s.trained) {
    names = s.trained->classes;
  } else if (s.hub) {
    names = s.hub->label_names;
  }
  if (names.empty()) {
    for (std::int64_t c = 0; c < arch.classes; ++c) names.push_back(fmt::format("{}", c));
    notes.push_back("the classes have no names: they are called by their numbers (hint: --labels)");
  }
  if (std::ssize(names) != arch.classes) {
    throw ConfigError(
        fmt::format("labels: expected {} names of classes, got {}", arch.classes, names.size()));
  }
  return names;
}

Preprocessing preprocessing_of(const Options& o, const Source& s, const Architecture& arch,
                               std::vector<std::string>& notes) {
  Preprocessing p = imagenet();
  if (s.trained) {
    p = s.trained->preprocessing;
  } else if (s.hub && s.hub->preprocessing) {
    p = *s.hub->preprocessing;
    notes.push_back("images are prepared as the config.json beside it says");
    if (s.hub->interpolation != p.interpolation) {
      notes.push_back(fmt::format("interpolation {}: images are resized by {} here",
                                  s.hub->interpolation, p.interpolation));
    }
  } else if (o.mean.empty() || o.std.empty() || !o.crop_pct) {
    notes.push_back(
        "it does not say how its images are prepared: ImageNet's mean, std and crop_pct 0.875 "
        "serve where --mean, --std and --crop-pct are not given");
  }
  if (!s.trained || o.model.arch.resolution) p.resolution = arch.resolution;
  p.channels = arch.channels;
  if (!o.mean.empty()) p.normalization.mean = channels(o.mean, "--mean");
  if (!o.std.empty()) p.normalization.std = channels(o.std, "--std");
  p.crop_pct = o.crop_pct.value_or(p.crop_pct);
  validate(p);
  return p;
}

// Returns notes.
std::vector<std::string> load(const Options& o, const Source& s, Model& model) {
  if (s.onnx) {
    model.load_state(s.onnx->state);
    return s.onnx->notes;
  }
  const LoadedWeights loaded = load_weights(o.file, model);
  if (o.average) model.load_state(checkpoint_average(o.file));
  return loaded.notes();
}

void import(const Options& o) {
  for (const std::string& file : {last_weights(o.out), model_weights(o.out)}) {
    if (!fs::exists(file)) continue;
    throw ConfigError(fmt::format(
        "option '--out': expected a folder without a network, got '{}', which holds '{}'", o.out,
        file));
  }
  require_makeable(o.out);
  const Source source = source_of(o);
  const Architecture arch = architecture_of(o, source);
  std::vector<std::string> notes;
  TrainedOn data = source.trained.value_or(TrainedOn{});
  data.preprocessing = preprocessing_of(o, source, arch, notes);
  data.classes = labels_of(o, source, arch, notes);
  data.train.clear();  // of a training, which this is not
  Model model(arch, 0);
  for (const std::string& note : load(o, source, model)) notes.push_back(note);
  print_notes(o.file, notes);

  make_folder(o.out);
  save_safetensors(model_weights(o.out), weights_alone(model, data));
  write_file_atomically(o.out + "/config.json", hub_config(arch, data));
  save_architecture(arch, o.out + "/architecture.json");
  const std::int64_t params = count(arch).params;
  if (o.json) {
    return print_json({{"model", arch.name},
                       {"params", params},
                       {"channels", arch.channels},
                       {"resolution", arch.resolution},
                       {"classes", arch.classes},
                       {"blocks", blocks(arch)},
                       {"widths", widths(arch)},
                       {"notes", notes},
                       {"weights", model_weights(o.out)}});
  }
  print_rows(stdout, {{"model", arch.name},
                      {"parameters", grouped(params)},
                      {"input", fmt::format("{} x {} x {}, {} classes", arch.channels,
                                            arch.resolution, arch.resolution, arch.classes)},
                      {"stages", fmt::format("of {} blocks", fmt::join(blocks(arch), ", "))},
                      {"weights", model_weights(o.out)}});
}

}  // namespace

void add_import(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("import", "A network of another program");
  const auto o = std::make_shared<Options>();
  verb->add_option("file", o->file,
                   "ONNX, or safetensors of torchvision, timm or this program (of a pickle: "
                   "tools/pth_to_safetensors.py)")
      ->required();
  add_model_options(*verb, o->model, "--model");
  add_options(
      *verb,
      Fields()
          .add("out", o->out, "write model.safetensors, config.json and architecture.json",
               {.type = "DIR"})
          .add("labels", o->labels, "the names of the classes, a line each", {.type = "FILE"})
          .add("average", o->average,
               "of a checkpoint: the averaged weights in place of the plain ones")
          .add("crop_pct", o->crop_pct,
               "the crop's part of the shorter side: torchvision's 224 of 256 is "
               "0.875"));
  verb->add_option("--mean", o->mean, "of the pixels in 0 to 1, a channel each")
      ->delimiter(',')
      ->type_name("A,B,C")
      ->default_str("");
  verb->add_option("--std", o->std, "their standard deviations")
      ->delimiter(',')
      ->type_name("A,B,C")
      ->default_str("");
  verb->get_option("--out")->required();
  add_json_option(*verb, o->json);
  verb->footer(
      "Example: hacscale import resnet18.safetensors --model resnet18 --out imported\n"
      "Names are torchvision's or timm's. The network, its classes and how images are prepared\n"
      "are those of the file, of a config.json beside it, or of the options. Of an ONNX file the\n"
      "network must be layers in a row and the residual blocks of the zoo; what is not is named.");
  verb->callback([o] { import(*o); });
}

}  // namespace hac
