// hacscale explain: where a network's time goes on this device and on others that are modelled, and
// what a little more time would buy along width, resolution and depth.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "scaling/latency/device_model.h"
#include "scaling/methods/explanation.h"
#include "tools/cli/commands.h"
#include "tools/cli/latency_models.h"
#include "tools/cli/options.h"
#include "tools/report/explanation.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  LatencyModelOptions here;
  std::vector<std::string> device_models{std::begin(compared_devices), std::end(compared_devices)};
  ExplainOptions explain;
  std::string out;
  MachineOptions machine;
  bool json = false;
};

std::string factor(double x) { return fmt::format("{:.2f}x", x); }

void print_device(const DeviceExplanation& d) {
  fmt::print("\n{}: {:.4g} ms\n", d.device, d.latency_ms);
  fmt::print("{:<7}  {:<14}  {:>6}  {:>7}  {:>6}  {:>6}  {:>11}  {}\n", "Limit", "Along", "Factor",
             "MACs", "Params", "Time", "MACs/second", "Verdict");
  for (const DimensionExplanation& dimension : d.dimensions) {
    for (const Purchase& p : dimension.bought) {
      const Resized& r = p.largest;
      fmt::print("{:<7}  {:<14}  {:>6}  {:>7}  {:>6}  {:>6}  {:>11}  {}{}\n", factor(p.budget),
                 dimension.method, factor(r.factor), factor(r.macs), factor(r.params),
                 factor(r.latency), factor(r.utilization()), to_string(r.freedom()),
                 r.extrapolated > 0 ? fmt::format(", {} layers extrapolated", r.extrapolated) : "");
    }
  }
  fmt::print("{}\n", d.finding());
  fmt::print("{:<28}  {:>6}  {:>6}  {:>9}  {}\n", "Layer", "MACs %", "Time %", "ms",
             d.modelled ? "Bound by" : "");
  for (const LayerTime& layer : d.layers) {
    fmt::print("{:<28}  {:>6.1f}  {:>6.1f}  {:>9.4g}  {}\n", layer.name, 100 * layer.macs_share,
               100 * layer.time_share, layer.ms, layer.bound);
  }
}

void explain_command(const Options& o) {
  if (!o.out.empty()) require_makeable(o.out);
  const Architecture arch = resolve(o.model);
  const TensorOptions where = start(o.machine);
  std::vector<LatencyModelPtr> models;
  for (const std::string& name : o.device_models) models.push_back(device_model(name, where.dtype));
  if (o.here.model != "none") {
    models.insert(models.begin(), latency_model_here(o.here, arch, where));
    print_model(*models.front());
  }
  const Explanation e = explain(arch, models, o.explain);
  const nlohmann::ordered_json json = to_json(fields_of(e));
  if (!o.out.empty()) {
    report::write_data(o.out, report::explanation_figures(e));
    write_file_atomically(o.out + "/explanation.json", json.dump(1) + "\n");
    write_file_atomically(o.out + "/index.html", report::render_explanation_page(e));
  }
  if (o.json) return print_json(json);
  fmt::print("{}: {} MACs, {} parameters, {} pixels\n", e.network, grouped(e.macs),
             grouped(e.params), e.resolution);
  for (const DeviceExplanation& d : e.devices) print_device(d);
  if (!o.out.empty()) fmt::print("\npage: {}/index.html\n", o.out);
}

}  // namespace

void add_explain(CLI::App& app, const std::string&) {
  CLI::App* verb =
      app.add_subcommand("explain", "Where the time goes on several devices, and what is free");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  o->here.timed.depths = {1.5, 2};
  add_options(
      *verb, Fields()
                 .add("device_model", o->device_models,
                      "devices that are not here, modelled: NAME[:eager|graph] or a profile's FILE",
                      {.type = "DEVICE,..."})
                 .add("budgets", o->explain.budgets, {1, 1000},
                      "latency limits to spend, as factors, ascending")
                 .add("out", o->out, "write explanation.json, index.html and the figures' data",
                      {.type = "DIR"}));
  add_latency_model_options(*verb, o->here);
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale explain preact_resnet18 --out why\n"
      "         hacscale explain vgg11 --latency-model none --device-model tx2,tx2:graph");
  verb->callback([o] { explain_command(*o); });
}

}  // namespace hac
