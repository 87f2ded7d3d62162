// hacscale import: a network of another program as a checkpoint of ours.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/file.h"
#include "engine/io/safetensors.h"
#include "kernels/core/error.h"
#include "models/arch/counters.h"
#include "models/deploy/onnx.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  std::string file, out;
  std::optional<std::int64_t> resolution;
  bool json = false;
};

struct Imported {
  Architecture arch;
  TensorFile checkpoint;
  std::vector<std::string> notes;
};

Imported import_onnx(const Options& o) {
  OnnxImport network = from_onnx(o.file, o.resolution);
  Model(network.arch).load_state(network.state);  // refuses what no network may hold
  Imported imported{.arch = network.arch, .notes = std::move(network.notes)};
  imported.checkpoint.tensors = std::move(network.state);
  std::map<std::string, std::string>& metadata = imported.checkpoint.metadata;
  if (network.data) metadata = to_metadata(*network.data);
  metadata.erase("images");  // those of a training, which this is not
  metadata["architecture"] = to_json(imported.arch);
  metadata["format"] = "pt";
  return imported;
}

void import_network(const Options& o) {
  if (o.file.empty()) throw ConfigError("argument 'file': expected an ONNX file, got none");
  if (o.out.empty()) throw ConfigError("option '--out': expected the file to write, got none");
  require_writable_file(o.out);
  const Imported imported = import_onnx(o);
  save_safetensors(o.out, imported.checkpoint);
  print_notes(o.file, imported.notes);
  const Architecture& arch = imported.arch;
  const std::int64_t params = count(arch).params, layers = std::ssize(arch.layers);
  if (o.json) {
    return print_json({{"out", o.out},
                       {"model", arch.name},
                       {"params", params},
                       {"channels", arch.channels},
                       {"resolution", arch.resolution},
                       {"classes", arch.classes},
                       {"layers", layers},
                       {"blocks", blocks(arch)},
                       {"widths", widths(arch)},
                       {"notes", imported.notes}});
  }
  print_rows(stdout, {{"checkpoint", o.out},
                      {"model", fmt::format("{}, {} parameters in {} layers and blocks", arch.name,
                                            grouped(params), layers)},
                      {"input", fmt::format("{} x {} x {}, {} classes", arch.channels,
                                            arch.resolution, arch.resolution, arch.classes)},
                      {"stages", fmt::format("of {} blocks", fmt::join(blocks(arch), ", "))}});
}

}  // namespace

void add_import(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("import", "Read a network of another program");
  const auto o = std::make_shared<Options>();
  verb->add_option("file,--file", o->file, "an ONNX file")->type_name("FILE");
  add_options(*verb,
              Fields()
                  .add("out", o->out, "the checkpoint to write, safetensors", {.type = "FILE"})
                  .add("resolution", o->resolution, {1, 8192},
                       "height and width of its input, where the file leaves them open"));
  add_json_option(*verb, o->json);
  verb->footer(
      "Of an ONNX file the network must be layers in a row and the residual blocks of the zoo;\n"
      "what is not is named.\n"
      "Example: hacscale import net.onnx --out net.safetensors");
  verb->callback([o] { import_network(*o); });
}

}  // namespace hac
