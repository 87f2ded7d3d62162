// hacscale sweep: width against depth against resolution, or one layer against its width.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/csv.h"
#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/print.h"
#include "engine/io/progress.h"
#include "engine/io/range.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"
#include "scaling/latency/device_model.h"
#include "scaling/measure/network_times.h"
#include "scaling/measure/peak.h"
#include "scaling/measure/sweep.h"
#include "tools/cli/commands.h"
#include "tools/cli/latency_models.h"
#include "tools/cli/options.h"
#include "tools/report/chart_files.h"
#include "tools/report/sweep_charts.h"

namespace hac {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ModelOptions model;
  std::string width, depth, resolution, layer, device_model, out;
  SweepAxes axes;
  MeasureOptions measure;
  int rounds = LayerTiming{}.rounds;
  MachineOptions machine;
  bool allow_unsteady = false, json = false;
};

// Where the times are from.
struct On {
  TensorOptions where;
  std::shared_ptr<const DeviceModel> model;  // of a device that is not here; null: measured
  LatencySource source;
};

On open(const Options& o) {
  if (o.device_model.empty()) {
    const TensorOptions where = start(o.machine);
    return {where, nullptr, latency_source(where)};
  }
  On on{.model = device_model(o.device_model, parse_dtype(o.machine.dtype))};
  on.source = *on.model->source;
  return on;
}

// NAME.csv and NAME.json in the folder, and drawings by their names.
void write_figures(const std::string& folder, const std::string& name, const std::string& csv,
                   const Json& json, const std::map<std::string, report::Chart>& charts) {
  if (folder.empty()) return;
  make_folder(folder);
  write_file_atomically(fmt::format("{}/{}.csv", folder, name), csv);
  write_file_atomically(fmt::format("{}/{}.json", folder, name), json.dump(1) + "\n");
  for (const auto& [file, chart] : charts) {
    write_file_atomically(fmt::format("{}/{}.svg", folder, file),
                          report::standalone_svg(report::render_chart(chart)));
  }
}

std::string share(double fraction) {
  return known(fraction) ? fmt::format("{:.1f} %", 100 * fraction) : "--";
}

void print_table(const std::vector<SweepRow>& rows, const On& on, const std::string& peak) {
  fmt::print("{:<10}  {:>6}  {:>6}  {:>5}  {:>5}  {:>12}  {:>14}  {:>9}  {:>19}  {:>8}  {:>7}\n",
             "Dimension", "width", "depth", "units", "px", "params", "MACs", "ms", "80 % of runs",
             "GMAC/s", "of peak");
  for (const SweepRow& r : rows) {
    const std::string interval =
        known(r.low_ms) ? fmt::format("{:.4f} to {:.4f}", r.low_ms, r.high_ms) : "modelled";
    fmt::print(
        "{:<10}  {:>6.3g}  {:>6.3g}  {:>5}  {:>5}  {:>12}  {:>14}  {:>9.4f}  {:>19}  "
        "{:>8.2f}  {:>7}{}\n",
        r.dimension, r.width, r.depth, r.units, r.resolution, grouped(r.params), grouped(r.macs),
        r.ms, interval, r.gmacs_per_s, share(r.peak_fraction),
        r.unsteady.empty() ? "" : "  unsteady");
  }
  print_rows(stdout, {{"on", on.source.str()}, {"peak", peak}});
}

void require_steady(const Options& o, const std::vector<SweepRow>& rows) {
  for (const SweepRow& row : rows) {
    if (row.unsteady.empty() || o.allow_unsteady) continue;
    hac::require_steady(NetworkTiming{.unsteady = row.unsteady});
  }
}

void sweep_networks(const Options& o, const Architecture& arch) {
  SweepAxes axes = o.axes;
  axes.widths = parse_range(o.width, "option '--width'");
  axes.depths = parse_range(o.depth, "option '--depth'");
  axes.resolutions = parse_whole_range(o.resolution, "option '--resolution'");
  const std::vector<SweptNetwork> nets = networks_to_sweep(arch, axes);
  if (nets.size() == 1) {
    throw ConfigError(fmt::format(
        "sweep: expected networks that differ from '{}', got none (hint: a smaller --round-to)",
        arch.name));
  }
  const On on = open(o);
  std::vector<SweepRow> rows;
  std::string peak_of = "unknown of a modelled device";
  if (on.model) {
    rows = model_sweep(nets, *on.model);
  } else {
    print(stderr, fmt::format("timing {} networks in turns\n", nets.size()));
    const Peak peak = measure_peak(on.where.device, on.where.dtype);
    peak_of = peak.of;
    if (peak.gmacs_per_s) peak_of = fmt::format("{:.1f} GMAC/s ({})", *peak.gmacs_per_s, peak.of);
    Patience patience;
    rows = measure_sweep(nets, on.where, peak.gmacs_per_s.value_or(unknown), o.measure,
                         o.allow_unsteady ? nullptr : &patience);
    require_steady(o, rows);
  }
  const bool modelled = on.model != nullptr;
  const Json j = to_json(Fields()
                             .add("model", AnyValue(arch.name))
                             .add("measured_on", fields_of(on.source))
                             .add("modelled", AnyValue(modelled))
                             .add("peak", peak_of)
                             .add("rows", rows));
  std::vector<Fields> lines;
  for (const SweepRow& row : rows) lines.push_back(fields_of(row));
  const std::string device = on.source.device;
  write_figures(o.out, "sweep", csv_of(lines), j,
                {{"sweep", report::sweep_latency_chart(rows, device)},
                 {"utilization", report::sweep_utilization_chart(rows, device)}});
  o.json ? print_json(j) : print_table(rows, on, peak_of);
}

int layer_index(const Architecture& arch, const std::string& name) {
  const std::vector<std::string> names = width_names(arch);
  const auto it = std::ranges::find(names, name);
  if (it != names.end()) return static_cast<int>(it - names.begin());
  throw ConfigError(fmt::format(
      "option '--layer': expected a convolution of '{}', got '{}' (hint: did you mean {}?)",
      arch.name, one_line(name.substr(0, 60)), nearest(name, names)));
}

void print_staircase(const LayerStaircase& found, std::int64_t own, const On& on) {
  const std::vector<std::int64_t> edges = step_edges(found);
  fmt::print("{:>6}  {:>10}  {:>21}\n", "Width", "ms", "least to most");
  for (const WidthTime& p : found.points) {
    const std::string bars =
        p.high_ms > 0 ? fmt::format("{:.4f} to {:.4f}", p.low_ms, p.high_ms) : "modelled";
    fmt::print("{:>6}  {:>10.5f}  {:>21}{}{}\n", p.width, p.ms, bars,
               std::ranges::count(edges, p.width) ? "  edge" : "",
               p.width == own ? "  its own" : "");
  }
  print_rows(stdout, {{"on", on.source.str()},
                      {"step", fmt::format("{}, {:.0f} ahead of {} in 2 ln likelihood{}",
                                           found.step, found.evidence, found.runner_up,
                                           found.clear ? "" : ": not clear")},
                      {"free", free_channels(found, own)}});
}

void sweep_layer(const Options& o, const Architecture& arch) {
  const int index = layer_index(arch, o.layer);
  const std::int64_t own = widths(arch)[index];
  std::vector<std::int64_t> at = parse_whole_range(o.width, "option '--width'");
  if (at.empty()) at = staircase_widths(own);
  if (!std::ranges::count(at, own)) at.push_back(own);
  if (at.size() < 8) {
    throw ConfigError(fmt::format(
        "option '--width': expected 8 or more widths beside --layer, got {}", at.size()));
  }
  for (const std::string& other : {o.depth, o.resolution}) {
    if (!other.empty()) throw ConfigError("option '--layer': expected --width alone beside it");
  }
  const On on = open(o);
  std::vector<WidthTime> points;
  if (on.model) {
    points = model_layer_widths(arch, index, at, *on.model);
  } else {
    print(stderr,
          fmt::format("timing {} widths of {} in {} rounds\n", at.size(), o.layer, o.rounds));
    Progress progress(o.layer, o.rounds * std::ssize(at));
    points = time_layer_widths(arch, index, at, on.where, {.rounds = o.rounds},
                               [&](std::size_t) { progress.step(0, {}); });
  }
  const LayerStaircase found = find_staircase(o.layer, std::move(points));
  Json j{{"model", arch.name},
         {"width", own},
         {"measured_on", to_json(fields_of(on.source))},
         {"modelled", on.model != nullptr}};
  j.update(to_json(fields_of(found)));
  j.update({{"edges", step_edges(found)}, {"free", free_channels(found, own)}});
  const report::Chart chart = report::staircase_chart(found, on.source.device);
  write_figures(o.out, "staircase", report::chart_csv(chart), j, {{"staircase", chart}});
  o.json ? print_json(j) : print_staircase(found, own, on);
}

void sweep(const Options& o) {
  const Architecture arch = resolve(o.model);
  if (!o.out.empty()) require_makeable(o.out);
  o.layer.empty() ? sweep_networks(o, arch) : sweep_layer(o, arch);
}

}  // namespace

void add_sweep(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("sweep", "Latency of width against depth against resolution");
  const auto o = std::make_shared<Options>();
  ArchOptions& base = o->model.arch;  // whose names the sweep's own ranges take
  add_model_options(
      *verb, o->model.model,
      Fields()
          .add("base_width", base.width, "multiply every width of the baseline")
          .add("base_resolution", base.resolution, "height and width of its input")
          .add(base.fields().without("width").without("resolution").without("depth")));
  add_options(
      *verb,
      Fields()
          .add("width", o->width,
               "factors: from:to:step or a list with commas; with --layer its channels",
               {.type = "RANGE"})
          .add("depth", o->depth, "factors of the number of units", {.type = "RANGE"})
          .add("resolution", o->resolution, "pixels", {.type = "RANGE"})
          .add("grid", o->axes.grid, "every combination, instead of one dimension at a time")
          .add("round_to", o->axes.width_multiple, {1, 1024}, "widths are multiples of")
          .add("layer", o->layer,
               "instead: one convolution against its width, the others as they are, its time "
               "inside runs of the network; names the channels that cost nothing",
               {.type = "NAME"})
          .add("rounds", o->rounds, {1, 1000},
               "with --layer: repetitions, each in another order; the faster half counts")
          .add("device_model", o->device_model, device_model_help, {.type = "NAME"})
          .add(o->measure.fields())
          .add("out", o->out, "write the figures as CSV, JSON and SVG", {.type = "DIR"})
          .add(unsteady_field(o->allow_unsteady)));
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale sweep resnet20 --width 0.5:2:0.25 --resolution 24:64:8 --depth 1:2:0.5\n"
      "         hacscale sweep vgg11 --base-width 0.25 --layer features.8 --out staircase\n"
      "         hacscale sweep resnet18 --width 1:2:0.25 --device-model xavier");
  verb->callback([o] { sweep(*o); });
}

}  // namespace hac
