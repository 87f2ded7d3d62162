// hacscale profile: latency and utilization of a network on this machine, whole and by layer.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "kernels/context.h"
#include "kernels/machine.h"
#include "models/checkpoint.h"
#include "scaling/measure.h"
#include "scaling/utilization.h"
#include "tools/commands.h"
#include "tools/options.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  std::string checkpoint;
  std::int64_t batch = 1;
  MeasureOptions measure;
  MachineOptions machine;
  bool json = false;
};

nlohmann::ordered_json json_of(const Options& o, const std::string& name, const Profile& p,
                               double peak) {
  const Machine machine = this_machine();
  const LatencyStats& l = p.latency;
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const OpTime& op : p.ops) {
    layers.push_back({{"name", op.name},
                      {"kind", op.kind},
                      {"spec", op.spec},
                      {"ms", op.ms},
                      {"gmacs_per_s", op.gmacs_per_s}});
  }
  return {{"model", name},
          {"batch", o.batch},
          {"threads", num_threads()},
          {"cpu", machine.cpu},
          {"isa", machine.isa},
          {"latency_ms",
           {{"mean", l.mean},
            {"median", l.median},
            {"p95", l.p95},
            {"min", l.min},
            {"spread", l.spread},
            {"drift", l.drift},
            {"runs", l.runs},
            {"warmup", o.measure.warmup}}},
          {"macs", p.macs},
          {"gmacs_per_s", p.gmacs_per_s},
          {"peak_gmacs_per_s", peak},
          {"peak_fraction", peak_fraction(p.gmacs_per_s, peak)},
          {"weight_mib", p.weight_mib},
          {"activation_mib", p.activation_mib},
          {"layers", layers}};
}

void print_table(const std::string& name, const Profile& p, double peak, std::int64_t batch) {
  std::size_t width = 5;
  for (const OpTime& op : p.ops) width = std::max(width, op.name.size() + op.kind.size() + 3);
  fmt::print("{:<{}}  {:>10}  {:>7}  {:>9}\n", "Layer", width, "ms", "share", "GMAC/s");
  double sum = 0;
  for (const OpTime& op : p.ops) sum += op.ms;
  for (const OpTime& op : p.ops) {
    const std::string title = op.name.empty() ? op.kind : fmt::format("{} ({})", op.name, op.kind);
    fmt::print("{:<{}}  {:>10.4f}  {:>5.1f} %  {:>9}\n", title, width, op.ms, 100 * op.ms / sum,
               op.gmacs_per_s > 0 ? fmt::format("{:.2f}", op.gmacs_per_s) : "--");
  }
  const LatencyStats& l = p.latency;
  print_rows(
      stdout,
      {{"network", fmt::format("{}, batch {}, threads {}", name, batch, num_threads())},
       {"latency", fmt::format("median {:.4f} ms, mean {:.4f}, p95 {:.4f}, min {:.4f} ({} runs)",
                               l.median, l.mean, l.p95, l.min, l.runs)},
       {"steadiness",
        fmt::format("spread {:.1f} %, drift {:+.1f} %", 100 * l.spread, 100 * l.drift)},
       {"utilization", fmt::format("{:.2f} GMAC/s, {:.1f} % of this machine's measured {:.1f}",
                                   p.gmacs_per_s, 100 * peak_fraction(p.gmacs_per_s, peak), peak)},
       {"memory", fmt::format("weights {:.2f} MiB, activations {:.2f} MiB", p.weight_mib,
                              p.activation_mib)}});
}

void profile_command(const Options& o) {
  const Device device = start(o.machine);
  Model model(o.checkpoint.empty() ? resolve(o.model) : checkpoint_architecture(o.checkpoint), 0,
              device);
  if (!o.checkpoint.empty()) load_weights(o.checkpoint, model);
  Deployment net(model, o.batch);
  const Profile p = profile(net, o.measure);
  const double peak = measure_peak_gmacs();
  const std::string& name = model.arch().name;
  if (o.json) {
    fmt::print("{}\n", json_of(o, name, p, peak).dump(2));
  } else {
    print_table(name, p, peak, o.batch);
  }
  if (std::abs(p.latency.drift) > 0.1) {
    fmt::print(stderr,
               "the machine drifted by {:+.0f} % meanwhile: measure again when it is idle\n",
               100 * p.latency.drift);
  }
}

}  // namespace

void add_profile(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("profile", "Latency and utilization on this machine");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  verb->add_option("--checkpoint", o->checkpoint, "its network instead (default: random weights)")
      ->type_name("FILE");
  const auto count = [&](const char* name, auto& value, int low, const char* help) {
    verb->add_option(name, value, help)->type_name("N")->check(CLI::Range(low, 1000000));
  };
  count("--batch", o->batch, 1, "images a run");
  count("--runs", o->measure.runs, 1, "timed runs");
  count("--warmup", o->measure.warmup, 0, "runs before them");
  add_machine_options(*verb, o->machine);
  add_json_option(*verb, o->json);
  verb->footer("Example: hacscale profile vgg11 --width 0.5 --threads 1");
  verb->callback([o] { profile_command(*o); });
}

}  // namespace hac
