// hacscale latency-table: a latency model of this device, or of times that were taken on another.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/io/progress.h"
#include "kernels/core/error.h"
#include "scaling/latency/networks_to_time.h"
#include "scaling/measure/network_times.h"
#include "tools/cli/commands.h"
#include "tools/cli/latency_models.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  std::string out, list, from, device_name;
  std::optional<LatencyModelKind> kind;
  NetworksToTime timed;
  MeasureOptions measure;
  int staircase = 2;
  MachineOptions machine;
  bool onnx = false, allow_unsteady = false, json = false;
};

void check_options(const Options& o) {
  const auto expect = [](bool holds, const char* option, const std::string& what) {
    if (!holds) throw ConfigError(fmt::format("option '{}': {}", option, what));
  };
  expect(o.list.empty() != o.out.empty(), "--out",
         "expected a file to write, or --list with a folder of networks to time elsewhere");
  expect(!o.onnx || !o.list.empty(), "--onnx", "expected --list beside it");
  expect(o.list.empty() || o.from.empty(), "--from", "expected none beside --list");
  const bool csv = !o.from.empty() && !o.from.ends_with(".json");
  expect(!csv || !o.device_name.empty(), "--device-name",
         "expected what the device is called on which the times were taken, got none");
  expect(csv || o.device_name.empty(), "--device-name", "expected --from with a table of times");
}

// At two sizes unless the user says at which, because a table is surest at those that were timed.
std::vector<Architecture> networks(const Options& o, const Architecture& arch) {
  NetworksToTime timed = o.timed;
  if (timed.resolutions.empty()) {
    timed.resolutions = {arch.resolution,
                         scale_resolution(arch, 1.5, timed.resolution_multiple).resolution};
  }
  return networks_to_time(arch, timed);
}

void list_networks(const Options& o, const std::vector<Architecture>& nets) {
  write_network_list(o.list, nets, o.onnx);
  if (o.json) return print_json({{"folder", o.list}, {"networks", nets.size()}});
  print_rows(stdout, {{"networks", fmt::format("{} in '{}'", nets.size(), o.list)},
                      {"next", fmt::format("time them as '{0}/README.md' says, fill in "
                                           "'{0}/times.csv', then --from it",
                                           o.list)}});
}

LatencyModelPtr model_of_times(const Options& o, const Architecture& arch) {
  TimesTable table = read_times(o.from, arch, parse_dtype(o.machine.dtype));
  if (!table.without_time.empty()) {
    print(stderr, fmt::format("note: '{}': {} of its networks have no time\n", o.from,
                              table.without_time.size()));
  }
  const LatencySource source{
      .device = o.device_name, .dtype = o.machine.dtype, .library = "times of a user"};
  return fit_latency(o.kind.value_or(LatencyModelKind::regression), std::move(table.networks),
                     source, std::nullopt);
}

LatencyModelPtr fit_again(const Options& o) {
  const LatencyModelPtr model = load_with_networks(o.from);
  LatencyModelKind kind = LatencyModelKind::table;
  if (model->name() != "table") kind = LatencyModelKind::regression;
  return fit_latency(o.kind.value_or(kind), model->networks, *model->source, model->staircase);
}

Staircase measure_staircase(const Options& o, const Architecture& arch,
                            const TensorOptions& where) {
  const std::vector<int> layers = main_layers(arch, o.staircase);
  const LayerTiming timing;
  const std::vector<std::string> names = width_names(arch);
  std::vector<LayerStaircase> found;
  for (const int layer : layers) {
    const std::vector<std::int64_t> at = staircase_widths(widths(arch)[layer]);
    Progress progress(names[layer], timing.rounds * std::ssize(at));
    found.push_back(find_staircase(names[layer],
                                   time_layer_widths(arch, layer, at, where, timing,
                                                     [&](std::size_t) { progress.step(0, {}); })));
  }
  return find_staircase(std::move(found));
}

LatencyModelPtr measure(const Options& o, const Architecture& arch,
                        const std::vector<Architecture>& nets) {
  const TensorOptions where = start(o.machine);
  std::vector<TimedNetwork> timed = time_here(nets, where, o.allow_unsteady, o.measure);
  std::optional<Staircase> staircase;
  if (o.staircase > 0) staircase = measure_staircase(o, arch, where);
  return fit_latency(o.kind.value_or(LatencyModelKind::table), std::move(timed),
                     latency_source(where), std::move(staircase));
}

// The median over the networks of (p90 - p10) / median; none where no network has error bars.
std::optional<double> spread_of(const LatencyModel& model) {
  std::vector<double> spreads;
  for (const TimedNetwork& network : model.networks) {
    const NetworkTiming& t = network.timing;
    if (t.high_ms > 0) spreads.push_back((t.high_ms - t.low_ms) / t.total_ms);
  }
  return spreads.empty() ? std::nullopt : std::optional(median(spreads));
}

std::string line_of(const std::optional<Staircase>& found, const LatencySource& source) {
  if (!found || found->layers.empty()) return "not looked for";
  std::string text = fmt::format("steps of {} channels", found->likeliest);
  if (found->likeliest == 1) text = "none: a straight line";
  text +=
      fmt::format(", {:.0f} ahead of {} in 2 ln likelihood (", found->evidence, found->runner_up);
  for (const LayerStaircase& layer : found->layers) {
    text +=
        fmt::format("{}{} {}", &layer == found->layers.data() ? "" : ", ", layer.layer, layer.step);
  }
  text += ")";
  if (found->block > 0) return text;
  return text + fmt::format("; not clear, so {} as the instruction set says", source.block());
}

void print_model(const Options& o, const LatencyModel& model) {
  const LatencyError& error = *model.error;
  const std::optional<double> spread = spread_of(model);
  if (o.json) {
    nlohmann::ordered_json j{{"out", o.out}, {"model", model.name()}};
    j["measured_on"] = to_json(fields_of(*model.source));
    j["error"] = to_json(fields_of(error));
    j["spread"] = spread ? nlohmann::ordered_json(*spread) : nullptr;
    j["staircase"] = nullptr;
    if (model.staircase) j["staircase"] = to_json(fields_of(*model.staircase));
    return print_json(j);
  }
  print_rows(stdout,
             {{"device", model.source->str()},
              {"networks",
               fmt::format(
                   "{} timed{}{}", error.networks,
                   spread ? fmt::format(", 80 % of their runs within {:.1f} %", 100 * *spread) : "",
                   error.unsteady > 0 ? fmt::format("; a busy machine disturbed {}", error.unsteady)
                                      : "")},
              {"model", model.name()},
              {"error", text_of(error) + " on networks that were left out of the fit"},
              {"staircase", line_of(model.staircase, *model.source)},
              {"next", fmt::format("hacscale scale MODEL --latency-model {}{} ...", o.out,
                                   o.device_name.empty() ? "" : " --foreign-latency")}});
}

void latency_table(const Options& o) {
  check_options(o);
  const Architecture arch = resolve(o.model);
  if (!o.list.empty()) return list_networks(o, networks(o, arch));
  require_writable_file(o.out);
  LatencyModelPtr model;
  if (o.from.empty()) {
    model = measure(o, arch, networks(o, arch));
  } else {
    model = o.from.ends_with(".json") ? fit_again(o) : model_of_times(o, arch);
  }
  save_latency_model(*model, o.out);
  print_model(o, *model);
}

}  // namespace

void add_latency_table(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("latency-table",
                                      "Time networks on a device and fit a latency model to them");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_options(
      *verb,
      Fields()
          .add("out", o->out, "the file to write, for scale --latency-model", {.type = "FILE"})
          .add("list", o->list,
               "instead: write the networks to time on another device and a table to fill in",
               {.type = "DIR"})
          .add("onnx", o->onnx, "with --list: each network as an ONNX file too")
          .add("from", o->from,
               "fit the times of such a table, times.csv; or those in a .json of this verb again",
               {.type = "FILE"})
          .add("device_name", o->device_name, "where the times of --from were taken")
          .add("kind", o->kind,
               "of the model; default table, or regression of times of whole networks")
          .add(o->timed.fields().without("resolutions"))
          .add("resolutions", o->timed.resolutions, {1, 8192},
               "those of the random widths, in pixels; default MODEL's and 1.5 times it")
          .add(o->measure.fields())
          .add("staircase", o->staircase, {0, 100},
               "main layers of which the step in the width is looked for")
          .add(unsteady_field(o->allow_unsteady)));
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale latency-table vgg11 --width 0.25 --out device.json\n"
      "         hacscale latency-table vgg11 --width 0.25 --list nets --onnx\n"
      "         hacscale latency-table vgg11 --width 0.25 --from nets/times.csv \\\n"
      "           --device-name 'Jetson Orin, TensorRT 10' --dtype f16 --out orin.json");
  verb->callback([o] { latency_table(*o); });
}

}  // namespace hac
