// hacscale profile: latency, utilization and energy of a network on this machine, whole and by
// layer.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/fields_json.h"
#include "engine/io/print.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "models/train/batch_estimate.h"
#include "models/train/checkpoint.h"
#include "scaling/latency/device_profile.h"
#include "scaling/measure/measure.h"
#include "scaling/measure/peak.h"
#include "scaling/measure/power.h"
#include "scaling/measure/utilization.h"
#include "tools/cli/commands.h"
#include "tools/cli/kernel_trace.h"
#include "tools/cli/options.h"

namespace hac {

enum class Trace : std::uint8_t { inference, step, counts };
template <>
inline constexpr std::string_view enum_names<Trace>[] = {"inference", "step", "counts"};

namespace {

struct Options {
  ModelOptions model;
  std::string checkpoint;
  std::int64_t batch = 1;
  MeasureOptions measure;
  MachineOptions machine;
  std::optional<LaunchMode> launch;
  bool energy = false;
  std::optional<Trace> trace;
  std::string gpu = KernelTrace().gpu;
  EpochImages epoch;
  bool json = false;
};

// The energy of an inference, or why it is not known.
struct Energy {
  std::optional<EnergyResult> result;
  std::string reason;
};

Energy energy_of(InferenceSession& net, bool wanted) {
  std::optional<PowerMeter> meter;
  try {
    meter = open_meter(net.device());
  } catch (const DeviceError& e) {
    return {.reason = e.what()};
  }
  if (wanted) return {.result = measure_energy(*meter, net)};
  return {.reason = fmt::format("not measured (hint: --energy reads {}, {:.0f} s)", meter->name,
                                planned_seconds({}))};
}

std::string line_of(const Energy& energy) {
  if (!energy.result) return energy.reason;
  const EnergyResult& e = *energy.result;
  const auto millijoules = [](const EnergyFigure& f) {
    return fmt::format("{:.4g} mJ ({:.4g} to {:.4g})", f.mean * 1e3, f.low * 1e3, f.high * 1e3);
  };
  return fmt::format("{} an inference, {} above idle; {:.1f} W, idle {:.1f} and {:.1f} [{}, {}]",
                     millijoules(e.raw), millijoules(e.net), e.watts, e.idle_watts_before,
                     e.idle_watts_after, e.meter, e.covers);
}

nlohmann::ordered_json json_of(const LatencyStats& latency) {
  nlohmann::ordered_json j = to_json(fields_of(latency));
  j["steady"] = latency.steady();
  return j;
}

nlohmann::ordered_json json_of(const Options& o, const std::string& name, const Profile& p,
                               const Peak& peak, const Energy& energy) {
  const Machine machine = this_machine();
  nlohmann::ordered_json latency = json_of(p.latency);
  latency["warmup"] = o.measure.warmup;
  nlohmann::ordered_json j{{"model", name},
                           {"batch", o.batch},
                           {"threads", num_threads()},
                           {"cpu", machine.cpu},
                           {"isa", machine.isa},
                           {"device", o.machine.device},
                           {"dtype", o.machine.dtype},
                           {"launch", to_string(p.launch)},
                           {"latency_ms", latency},
                           {"macs", p.macs},
                           {"gmacs_per_s", p.gmacs_per_s},
                           {"multiplications", p.multiplications},
                           {"multiplied_gmacs_per_s", p.multiplied_gmacs_per_s},
                           {"peak_gmacs_per_s", nullptr},
                           {"peak_fraction", nullptr},
                           {"peak_of", peak.of},
                           {"peak_steady", peak.steady},
                           {"weight_mib", p.weight_mib},
                           {"activation_mib", p.activation_mib},
                           {"energy", nullptr}};
  if (peak.gmacs_per_s) {
    j["peak_gmacs_per_s"] = *peak.gmacs_per_s;
    j["peak_fraction"] = peak_fraction(p.multiplied_gmacs_per_s, *peak.gmacs_per_s);
  }
  if (energy.result) {
    j["energy"] = to_json(fields_of(*energy.result));
  } else {
    j["energy_reason"] = energy.reason;
  }
  if (p.device) {
    j["event_latency_ms"] = json_of(p.device->event);
    j["cold_latency_ms"] = json_of(p.device->cold);
    j["cold_event_latency_ms"] = json_of(p.device->cold_event);
  }
  j["layers"] = nlohmann::ordered_json::array();
  for (const OpTime& op : p.ops) j["layers"].push_back(to_json(fields_of(op)));
  return j;
}

// Median milliseconds of a device by both clocks, with the second-level cache warm and cold.
std::string device_line(const Profile& p) {
  if (!p.device) return "as by the clock: the CPU works while it is called";
  return fmt::format("warm {:.4f} ms by events, {:.4f} by the clock; cold {:.4f} and {:.4f}",
                     p.device->event.median, p.latency.median, p.device->cold_event.median,
                     p.device->cold.median);
}

// Padding and Winograd save multiplications: then both counts are shown, for only what is really
// multiplied is bounded by the peak.
std::string utilization_line(const Profile& p, const Peak& peak) {
  std::string text = fmt::format("{:.2f} GMAC/s", p.gmacs_per_s);
  const double multiplied = p.multiplied_gmacs_per_s;
  if (p.multiplications < p.macs) {
    text += fmt::format(" of the network, {:.2f} really multiplied", multiplied);
  }
  if (!peak.gmacs_per_s) return fmt::format("{}; peak {}", text, peak.of);
  return fmt::format("{}, {:.1f} % of a measured {:.1f} ({}{})", text,
                     100 * peak_fraction(multiplied, *peak.gmacs_per_s), *peak.gmacs_per_s, peak.of,
                     peak.steady ? "" : "; unsteady: a busy machine");
}

void warn(const Profile& p, const Peak& peak) {
  const auto warn = [](const std::string& text) {
    print(stderr, fmt::format("warning: {}: measure again when the machine is idle\n", text));
  };
  if (std::abs(p.latency.drift) > 0.1) {
    print(stderr,
          fmt::format(
              "the machine drifted by {:+.0f} % while it ran: measure again when it is idle\n",
              100 * p.latency.drift));
  }
  if (!p.latency.steady()) warn("the latency is unsteady: " + describe_disturbance(p.latency));
  if (!peak.gmacs_per_s) return;
  if (!peak.steady) {
    warn(
        "the measured peak is unsteady, and so are the shares of it: other work took cores in "
        "nearly every trial");
  }
  const auto check = [&](const std::string& what, double multiplied) {
    if (multiplied <= *peak.gmacs_per_s) return false;
    warn(fmt::format("{} does {:.1f} GMAC/s, {:.0f} % of the measured peak, which nothing explains",
                     what, multiplied, 100 * multiplied / *peak.gmacs_per_s));
    return true;
  };
  if (check("the network", p.multiplied_gmacs_per_s)) return;
  for (const OpTime& op : p.ops) {
    if (op.kind == "conv2d" && check(op.name, op.multiplied_gmacs_per_s)) return;
  }
}

void print_table(const std::string& name, const Profile& p, const Peak& peak, std::int64_t batch,
                 const Energy& energy) {
  std::size_t width = 5;
  for (const OpTime& op : p.ops) width = std::max(width, op.name.size() + op.kind.size() + 3);
  fmt::print("{:<{}}  {:>10}  {:>7}  {:>9}  {:>10}  {}\n", "Layer", width, "ms", "share", "GMAC/s",
             "multiplied", "by");
  double sum = 0;
  for (const OpTime& op : p.ops) sum += op.ms;
  for (const OpTime& op : p.ops) {
    const std::string title = op.name.empty() ? op.kind : fmt::format("{} ({})", op.name, op.kind);
    const auto rate = [](double gmacs) {
      return gmacs > 0 ? fmt::format("{:.2f}", gmacs) : std::string("--");
    };
    fmt::print("{:<{}}  {:>10.4f}  {:>5.1f} %  {:>9}  {:>10}  {}\n", title, width, op.ms,
               100 * op.ms / sum, rate(op.gmacs_per_s), rate(op.multiplied_gmacs_per_s),
               op.implementation);
  }
  const LatencyStats& l = p.latency;
  print_rows(
      stdout,
      {{"network", fmt::format("{}, batch {}, threads {}, launch {}", name, batch, num_threads(),
                               to_string(p.launch))},
       {"latency", fmt::format("median {:.4f} ms, mean {:.4f}, p95 {:.4f}, min {:.4f} ({} runs)",
                               l.median, l.mean, l.p95, l.min, l.runs)},
       {"device", device_line(p)},
       {"steadiness",
        fmt::format("spread {:.1f} %, drift {:+.1f} %, {}", 100 * l.spread, 100 * l.drift,
                    l.disturbed > 0 ? describe_disturbance(l)
                                    : fmt::format("{} disturbed runs taken again", l.repeated))},
       {"utilization", utilization_line(p, peak)},
       {"memory",
        fmt::format("weights {:.2f} MiB, activations {:.2f} MiB", p.weight_mib, p.activation_mib)},
       {"energy", line_of(energy)}});
}

// Has run once: what it needs is there.
std::unique_ptr<InferenceSession> deploy(const Model& model, std::int64_t batch,
                                         LaunchMode launch) {
  try {
    auto net = std::make_unique<InferenceSession>(model, batch);
    if (launch == LaunchMode::graph) net->capture();
    net->run(Tensor::zeros(net->graph().input, Dtype::f32, model.device()));
    return net;
  } catch (const OutOfMemory& error) {
    const std::int64_t fits = estimated_batch(model, Work::inference, launch);
    throw_with_batch(error, std::min(fits, batch - 1));
  }
}

void profile_network(const Options& o, const Model& model, LaunchMode launch) {
  const Device device = model.device();
  const std::unique_ptr<InferenceSession> deployed = deploy(model, o.batch, launch);
  InferenceSession& net = *deployed;
  const Profile p = profile(net, o.measure);
  const Peak peak = measure_peak(device, model.dtype());
  const Energy energy = energy_of(net, o.energy);
  const std::string& name = model.arch().name;
  o.json ? print_json(json_of(o, name, p, peak, energy))
         : print_table(name, p, peak, o.batch, energy);
  warn(p, peak);
}

void profile_command(const Options& o) {
  const TensorOptions where = start(o.machine);
  const LaunchMode launch = o.launch.value_or(default_launch_mode(where.device));
  require_launch_mode(launch, where.device);
  Model model =
      make_model(o.checkpoint.empty() ? resolve(o.model) : checkpoint_architecture(o.checkpoint), 0,
                 where, o.checkpoint);
  if (o.trace) {
    return print_kernel_trace(model, o.batch,
                              {.step = o.trace != Trace::inference,
                               .run = o.trace != Trace::counts,
                               .gpu = o.gpu,
                               .epoch = o.epoch,
                               .json = o.json});
  }
  profile_network(o, model, launch);
}

}  // namespace

void add_profile(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("profile", "Latency and utilization on this machine");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_options(
      *verb,
      Fields()
          .add("checkpoint", o->checkpoint, "its network instead (default: random weights)",
               {.type = "FILE"})
          .add("batch", o->batch, {1, 1000000}, "images a run")
          .add(o->measure.fields())
          .add("energy", o->energy, "measure joules an inference too (takes most of a minute)")
          .add("trace", o->trace,
               "instead of times, with --device simt: what each kernel of an inference or a "
               "training step asks of memory; of a step its predicted time on a GPU too. counts: "
               "that alone, from the network, and nothing is run")
          .add("gpu", o->gpu,
               fmt::format("of --trace, the GPU that its blocks are spread over, and that a step "
                           "is predicted for: {}, or a file",
                           fmt::join(gpu_profile_names(), ", ")))
          .add("epoch-images", o->epoch.training, {1, 1 << 30},
               "of a predicted epoch, the training images")
          .add("epoch-test-images", o->epoch.test, {0, 1 << 30},
               "of a predicted epoch, the images of its evaluation"));
  add_machine_options(*verb, o->machine, o->json);
  add_launch_option(*verb, o->launch);
  verb->footer(
      "Example: hacscale profile vgg11 --width 0.5 --threads 1\n"
      "         hacscale profile vgg11 --width 0.25 --batch 8 --device simt --trace step\n"
      "         hacscale profile vgg11 --batch 128 --device simt --dtype bf16 --trace counts --gpu "
      "a100");
  verb->callback([o] { profile_command(*o); });
}

}  // namespace hac
