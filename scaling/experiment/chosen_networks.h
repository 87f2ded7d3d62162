#pragma once
// What an experiment chooses, before any network of its result table is trained or measured.

#include <optional>
#include <string>
#include <vector>

#include "engine/io/named_fields.h"
#include "scaling/experiment/results.h"
#include "scaling/methods/method.h"

namespace hac {

struct ChosenNetwork {
  std::string key, method;           // of the method; "baseline"
  std::vector<double> coefficients;  // of the method
  std::int64_t resolution = 0;
  std::vector<std::int64_t> blocks, widths;
  std::int64_t macs = 0, params = 0, memory_bytes = 0;
  double predicted_ms = 0;  // by ChosenNetworks::latency_by
  std::string limit;        // what ended its growth; "infeasible": none is within the budget
  std::string note;
  std::optional<SearchCost> search;

  Fields fields() {
    return HAC_FIELDS(key, method, coefficients, resolution, blocks, widths, macs, params,
                      memory_bytes, predicted_ms, limit, note)
        .add("search", search, {.omit = !search, .optional = true});
  }
};

struct ChosenNetworks {
  std::string name;        // of the recipe
  std::string latency_by;  // the device, and whether it is modelled
  Budget budget;
  std::vector<ChosenNetwork> networks;  // the baseline first
  // Methods that have none of this baseline, and what to know of the latency model.
  std::vector<std::string> notes;

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("latency_by", latency_by)
        .add("budget", limits_of(budget))
        .add("networks", networks)
        .add("notes", notes);
  }
};

ChosenNetwork described(const ScaledNetwork& network);

}  // namespace hac
