#include "tools/cli/latency_models.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "engine/io/print.h"
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
          .add("allow_unsteady", o.allow_unsteady,
               "decide on times that a busy machine disturbed, instead of waiting for it (pauses "
               "of half a minute in all) and giving up"),
      group);
  add_options(app, o.timed.fields(), group);
}

LatencyModelPtr latency_model_here(const LatencyModelOptions& o, const Architecture& arch,
                                   const TensorOptions& where) {
  LatencyModelPtr model;
  if (o.model == "table" || o.model == "regression") {
    const std::vector<Architecture> nets = networks_to_time(arch, o.timed);
    print(stderr, fmt::format("timing {} networks\n", nets.size()));
    model = fit_latency(parse<LatencyModelKind>(o.model, "latency model"),
                        time_networks(nets, where, {.allow_unsteady = o.allow_unsteady}),
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

void print_model(const LatencyModel& model) {
  std::string text = fmt::format("latency {} of {}", model.name(),
                                 model.source ? model.source->str() : "an unknown device");
  if (model.error) {
    text += fmt::format(": median error {:.1f} %, worst {:.1f} % on networks left out",
                        100 * model.error->median, 100 * model.error->worst);
  }
  print(stderr, text + "\n");
}

}  // namespace hac
