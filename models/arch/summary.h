#pragma once
// What `hacscale summary` prints: every operation of a network with its cost, and the totals.

#include <string>
#include <vector>

#include "models/arch/counters.h"

namespace hac {

struct LayerSummary {
  std::string name;  // parameter prefix, "" without parameters
  std::string kind;  // OpSpec::kind()
  std::string spec;  // OpSpec::str()
  Shape output;
  std::int64_t params = 0;
  std::int64_t macs = 0;
  bool operator==(const LayerSummary&) const = default;
};

struct Summary {
  std::string name;
  Shape input;
  std::vector<LayerSummary> layers;  // in order of execution, fused operations as one
  Counters total;
  bool operator==(const Summary&) const = default;
};

// Throws ConfigError as validate() does.
Summary summarize(const Architecture& arch, std::int64_t batch = 1);

// A table in the style of torchinfo; bytes and counts with thousands separators.
std::string to_text(const Summary& summary);
// Keys: name, input, params, macs, ops_thop2021, activations, weight_bytes, activation_bytes,
// peak_activation_bytes, layers[] {name, kind, spec, output, params, macs}.
std::string to_json(const Summary& summary);

}  // namespace hac
