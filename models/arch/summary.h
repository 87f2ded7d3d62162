#pragma once
// What `hacscale summary` prints: every operation of a network with its cost and, of convolutions,
// what computes them at inference on this CPU; and the totals.

#include <string>
#include <vector>

#include "models/arch/counters.h"

namespace hac {

struct Summary {
  std::string name;
  Graph graph;                         // not fused
  std::vector<ConvImplementation> by;  // of each operation; no name of what is no convolution
  Counters total;
};

// Throws ConfigError as validate() does.
Summary summarize(const Architecture& arch, std::int64_t batch = 1);

// A table in the style of torchinfo; bytes and counts with thousands separators.
std::string to_text(const Summary& summary);
// Keys: name, input, params, macs, ops_thop2021, activations, weight_bytes, activation_bytes,
// peak_activation_bytes, layers[] {name, kind, spec, output, params, macs, and of
// convolutions implementation, multiplications}.
std::string to_json(const Summary& summary);

}  // namespace hac
