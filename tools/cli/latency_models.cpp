#include "tools/cli/latency_models.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/io/print.h"
#include "engine/io/progress.h"
#include "kernels/core/error.h"
#include "scaling/measure/network_times.h"
#include "tools/cli/options.h"

namespace hac {

void add_latency_model_options(CLI::App& app, LatencyModelOptions& o) {
  const char* group = "Latency of this device";
  add_options(
      app,
      Fields()
          .add(
              "latency_model", o.model,
              "table or regression, measured now; or a saved one of this device, --dtype, "
              "threads, instruction set and library (hacscale latency-table); of explain also none",
              {.type = "KIND"})
          .add("foreign_latency", o.foreign_latency,
               "take a saved one of anything else too: all predictions are then those of the "
               "device that it was measured on")
          .add(unsteady_field(o.allow_unsteady)),
      group);
  add_options(app, o.timed.fields(), group);
}

Fields unsteady_field(bool& allow) {
  return Fields().add("allow_unsteady", allow,
                      "take times that a busy machine disturbed, instead of waiting for it (pauses "
                      "of half a minute in all) and giving up");
}

LatencyModelPtr latency_model_here(const LatencyModelOptions& o, const Architecture& arch,
                                   const TensorOptions& where) {
  LatencyModelPtr model;
  if (o.model == "table" || o.model == "regression") {
    model = fit_latency(parse<LatencyModelKind>(o.model, "latency model"),
                        time_here(networks_to_time(arch, o.timed), where, o.allow_unsteady),
                        latency_source(where), std::nullopt);
  } else {
    model = load_latency_model(o.model);
    if (!o.foreign_latency) {
      require_source(*model, latency_source(where), o.model, "--foreign-latency takes it as it is");
    }
    if (!o.allow_unsteady) require_steady(*model, o.model);
  }
  return model;
}

std::vector<TimedNetwork> time_here(const std::vector<Architecture>& nets,
                                    const TensorOptions& where, bool allow_unsteady,
                                    const MeasureOptions& measure) {
  print(stderr, fmt::format("timing {} networks\n", nets.size()));
  Progress progress("networks", std::ssize(nets));
  return time_networks(
      nets, where, {.measure = measure, .allow_unsteady = allow_unsteady, .done = [&](std::size_t) {
                      progress.step(0, {});
                    }});
}

LatencyModelPtr load_with_networks(const std::string& path) {
  LatencyModelPtr model = load_latency_model(path);
  if (!model->networks.empty() && model->source) return model;
  throw ConfigError(fmt::format(
      "latency model '{}': expected the networks that it was fitted on, got none", path));
}

std::string text_of(const LatencyError& e) {
  return fmt::format("median {:.1f} %, worst {:.1f} %, R2 {:.3f}", 100 * e.median, 100 * e.worst,
                     e.r2);
}

void print_model(const LatencyModel& model) {
  std::string text = fmt::format("latency {} of {}", model.name(),
                                 model.source ? model.source->str() : "an unknown device");
  if (model.error) text += fmt::format(": {} on networks left out", text_of(*model.error));
  print(stderr, text + "\n");
}

}  // namespace hac
