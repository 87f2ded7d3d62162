// hacscale summary: what a network is made of and what it costs.

#include "models/arch/summary.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/io/file.h"
#include "tools/cli/commands.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  std::int64_t batch = 1;
  CountShown count = CountShown::totals;
  std::string save;
  bool json = false;
};

void summary(const Options& o) {
  const Architecture arch = resolve(o.model);
  const Summary s = summarize(arch, o.batch);
  if (!o.save.empty()) save_architecture(arch, o.save);
  fmt::print("{}", o.json ? to_json(s, o.count) : to_text(s, o.count));
}

}  // namespace

void add_summary(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("summary", "Layers, parameters and operations of a network");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_options(*verb, Fields()
                         .add("batch", o->batch, {1, 65536}, "images in the shapes shown")
                         .add("count", o->count, "also the rules of THOP, fvcore and ptflops: all")
                         .add("save", o->save, "write the architecture as JSON", {.type = "FILE"}));
  add_json_option(*verb, o->json);
  verb->footer("Example: hacscale summary vgg11 --width 0.25 --resolution 40 --count all");
  verb->callback([o] { summary(*o); });
}

}  // namespace hac
