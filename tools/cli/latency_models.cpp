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
          .add("latency_model", o.model,
               "table or regression, measured now; a saved one (hacscale latency-table); or "
               "none: only devices that are modelled",
               {.type = "KIND"})
          .add("foreign_latency", o.foreign_latency,
               "take a saved one of another device, type or library too")
          .add("allow_unsteady", o.allow_unsteady, "take times that a busy machine disturbed"),
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
  if (model->error) {
    print(stderr,
          fmt::format("latency {}: median error {:.1f} %, worst {:.1f} % on networks left "
                      "out\n",
                      model->name(), 100 * model->error->median, 100 * model->error->worst));
  }
  return model;
}

}  // namespace hac
