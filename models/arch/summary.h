#pragma once
// What `hacscale summary` prints: every operation of a network with its cost and, of convolutions,
// what computes them at inference on this CPU; and the totals.

#include <string>
#include <vector>

#include "engine/io/fields.h"
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

// What is counted of the operations: the totals, or also the rules of other tools.
enum class CountShown : std::uint8_t { totals, all };
template <>
inline constexpr std::string_view enum_names<CountShown>[] = {"totals", "all"};

// A table in the style of torchinfo; bytes and counts with thousands separators.
std::string to_text(const Summary& summary, CountShown shown = CountShown::totals);
// Keys: name, input, params, macs, ops_thop2021, activations, weight_bytes, activation_bytes,
// peak_activation_bytes, layers[] {name, kind, spec, output, params, macs, and of
// convolutions implementation, multiplications}; of all counts ops_fvcore and ops_ptflops too.
std::string to_json(const Summary& summary, CountShown shown = CountShown::totals);

}  // namespace hac
