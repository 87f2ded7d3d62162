// hacscale calibrate: a device profile fitted to networks that are timed on the device at hand.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "kernels/core/error.h"
#include "scaling/latency/device_calibration.h"
#include "tools/cli/commands.h"
#include "tools/cli/latency_models.h"
#include "tools/cli/options.h"

namespace hac {
namespace {

struct Options {
  ModelOptions model;
  std::string profile, out, from;
  NetworksToTime timed;
  MachineOptions machine;
  bool allow_unsteady = false, json = false;
};

struct Times {
  std::vector<TimedNetwork> networks;
  LatencySource source;
};

Times times_of(const Options& o) {
  if (!o.from.empty()) {
    const LatencyModelPtr model = load_with_networks(o.from);
    return {model->networks, *model->source};
  }
  const Architecture arch = resolve(o.model);
  const TensorOptions where = start(o.machine);
  return {time_here(networks_to_time(arch, o.timed), where, o.allow_unsteady),
          latency_source(where)};
}

std::string line_of(std::optional<double> fraction, const char* of) {
  return fraction ? fmt::format("{:.3g} of {}", *fraction, of)
                  : "not seen: it bound nothing that was timed";
}

void calibrate_command(const Options& o) {
  if (o.profile.empty()) throw ConfigError("option '--profile': expected a device, got none");
  if (o.out.empty()) throw ConfigError("option '--out': expected a file to write, got none");
  require_writable_file(o.out);
  const std::shared_ptr<const DeviceModel> given = device_model(o.profile);
  const Times times = times_of(o);
  std::vector<NetworkTiming> timings;
  for (const TimedNetwork& network : times.networks) timings.push_back(network.timing);
  DeviceProfile profile = given->profile();
  const bool cores = profile.processor == Processor::cpu && times.source.threads > 0;
  if (cores) profile = with_units(profile, times.source.threads);
  const Calibration c = calibrate(profile, given->launch(), timings, times.source.str());
  write_file_atomically(o.out, to_json(c.profile) + "\n");
  if (o.json) return print_json(to_json(fields_of(c)));
  print_rows(stdout, {{"units", fmt::format("{}", c.profile.units)},
                      {"peak", line_of(c.peak, "what the profile gives them")},
                      {"bandwidth", line_of(c.bandwidth, "the profile's")},
                      {"launch", fmt::format("{:.3g} us a kernel", c.launch_us)},
                      {"channel block", fmt::format("{}", c.channel_block)},
                      {"error as given", text_of(c.before)},
                      {"error calibrated",
                       fmt::format("{}, {} networks, each left out of the fit that predicts it",
                                   text_of(c.after), c.after.networks)},
                      {"next", fmt::format("hacscale explain MODEL --device-model {}", o.out)}});
}

}  // namespace

void add_calibrate(CLI::App& app, const std::string&) {
  CLI::App* verb = app.add_subcommand("calibrate", "Fit a device profile to times of this device");
  const auto o = std::make_shared<Options>();
  add_model_options(*verb, o->model);
  add_options(*verb,
              Fields()
                  .add("profile", o->profile,
                       "NAME[:eager|graph] or a file: where the fit starts, and how networks are "
                       "launched",
                       {.type = "DEVICE"})
                  .add("out", o->out, "the fitted profile, for --device-model", {.type = "FILE"})
                  .add("from", o->from,
                       "a latency table (hacscale latency-table) whose times are taken, instead of "
                       "timing networks now",
                       {.type = "FILE"})
                  .add(unsteady_field(o->allow_unsteady))
                  .add(o->timed.fields()));
  add_machine_options(*verb, o->machine, o->json);
  verb->footer(
      "Example: hacscale calibrate vgg11 --width 0.25 --profile desktop-cpu --out mine.json");
  verb->callback([o] { calibrate_command(*o); });
}

}  // namespace hac
