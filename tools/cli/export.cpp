// hacscale export: a network as an ONNX file.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "models/deploy/onnx.h"
#include "models/train/checkpoint.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  std::string checkpoint, out, example;
  ModelOptions model{.model = ""};
  std::string batch = "dynamic";
  OnnxOptions onnx;
  bool json = false;
};

std::int64_t parse_batch(const std::string& text) {
  constexpr std::int64_t most = 65536;
  if (text == "dynamic") return 0;
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error == std::errc() && end == text.data() + text.size() && n >= 1 && n <= most) return n;
  throw ConfigError(
      fmt::format("option '--batch': expected dynamic or 1 to {}, got '{}'", most, text));
}

void print_file(const Options& o, const Architecture& arch, const OnnxFile& file) {
  const bool bytes = o.onnx.with_preprocessing;
  const std::string n = o.onnx.batch > 0 ? std::to_string(o.onnx.batch) : "batch";
  nlohmann::ordered_json shape{o.onnx.batch > 0 ? nlohmann::ordered_json(o.onnx.batch) : "batch"};
  for (const std::int64_t d : bytes
                                  ? std::vector{arch.resolution, arch.resolution, arch.channels}
                                  : std::vector{arch.channels, arch.resolution, arch.resolution}) {
    shape.push_back(d);
  }
  if (o.json) {
    return print_json(
        {{"out", o.out},
         {"bytes", file.bytes.size()},
         {"opset", file.opset},
         {"model", arch.name},
         {"input", {{"name", "input"}, {"dtype", bytes ? "u8" : "f32"}, {"shape", shape}}},
         {"output", {{"name", "logits"}, {"dtype", "f32"}, {"shape", {shape[0], arch.classes}}}},
         {"nodes", file.nodes},
         {"batch_norms", file.batch_norms}});
  }
  std::string dims;
  for (const auto& d : shape) {
    dims += (dims.empty() ? "" : ", ") + (d.is_string() ? d.get<std::string>() : d.dump());
  }
  print_rows(stdout,
             {{"file", fmt::format("{}, {} bytes, opset {}", o.out, grouped(std::ssize(file.bytes)),
                                   file.opset)},
              {"input", fmt::format("input {} ({})", bytes ? "u8" : "f32", dims)},
              {"output", fmt::format("logits f32 ({}, {})", n, arch.classes)},
              {"nodes", fmt::format("{}, {} of them batch norms", file.nodes, file.batch_norms)}});
}

void export_onnx(Options o) {
  require_onnx();
  if (o.checkpoint.empty() && o.model.model.empty()) {
    throw ConfigError("argument 'checkpoint': expected one, or --model with a network, got none");
  }
  if (o.out.empty()) throw ConfigError("option '--out': expected the file to write, got none");
  o.onnx.batch = parse_batch(o.batch);
  require_writable_file(o.out);
  if (!o.example.empty()) require_writable_file(o.example);
  if (o.model.model.empty()) refuse_arch_options(o.model.arch, o.checkpoint);
  const Architecture arch =
      o.model.model.empty() ? checkpoint_architecture(o.checkpoint) : resolve(o.model);
  require_onnx_size(arch);
  std::optional<TrainedOn> data;
  if (!o.checkpoint.empty()) data = checkpoint_data(o.checkpoint);
  const Model model = make_model(arch, 0, {}, o.checkpoint);
  const OnnxFile file = to_onnx(model, o.onnx, data);
  if (!o.example.empty()) save_safetensors(o.example, onnx_example(model, o.onnx, data));
  write_file_atomically(o.out, file.bytes);
  if (o.checkpoint.empty()) {
    print_notes(o.out, {"no checkpoint was given: the weights are random"});
  }
  print_file(o, arch, file);
}

}  // namespace

void add_export(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("export", "Write a network as an ONNX file");
  const auto o = std::make_shared<Options>();
  verb->add_option("checkpoint,--checkpoint", o->checkpoint, "safetensors with PyTorch names")
      ->type_name("FILE");
  add_model_options(*verb, o->model, "--model");
  add_options(
      *verb,
      Fields()
          .add("out", o->out, "the file to write", {.type = "FILE"})
          .add("batch", o->batch, "images that it takes: dynamic (any), or a number",
               {.valid = [](const std::string& text) { parse_batch(text); }})
          .add("unfolded", o->onnx.unfolded, "keep batch norms apart from convolutions")
          .add("with_preprocessing", o->onnx.with_preprocessing,
               "take pixels as decoders give them, u8 (N, H, W, C), and normalise them inside")
          .add("example", o->example,
               "also write random images and our logits of them, to compare another runtime by",
               {.type = "FILE"}));
  add_json_option(*verb, o->json);
  verb->footer(
      "The input is `input`, f32 (N, C, H, W), normalised as the metadata of the file say; the\n"
      "output is `logits`. The network is that of the checkpoint unless --model says otherwise;\n"
      "without a checkpoint its weights are random, which is enough to time it.\n"
      "Example: hacscale export runs/vgg/model.safetensors --out vgg.onnx\n"
      "         trtexec --onnx=vgg.onnx        or: benchmark_app -m vgg.onnx");
  verb->callback([o] { export_onnx(*o); });
}

}  // namespace hac
