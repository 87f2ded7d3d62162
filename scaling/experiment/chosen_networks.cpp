#include "scaling/experiment/chosen_networks.h"

#include "models/arch/counters.h"

namespace hac {

ChosenNetwork described(const ScaledNetwork& network) {
  return {.key = network.key,
          .method = network.method,
          .coefficients = network.coefficients,
          .resolution = network.arch.resolution,
          .blocks = blocks(network.arch),
          .widths = widths(network.arch),
          .macs = count(network.arch).macs,
          .params = network.cost.params,
          .memory_bytes = network.cost.memory_bytes,
          .predicted_ms = network.cost.latency_ms,
          .limit = network.limit,
          .note = network.note,
          .search = network.search};
}

}  // namespace hac
