#pragma once
// Networks timed on synthetic machines whose truth is known.

#include "kernels/core/random.h"
#include "models/zoo/zoo.h"
#include "scaling/importance/sampling.h"
#include "scaling/latency/latency.h"

namespace hac {

// A machine: what an operation takes, and what a network adds.
using Machine = double (*)(const OpSpec&);

inline double linear_machine(const OpSpec& op) {
  if (op.kind() == "flatten") return 0;
  const Cost cost = op.cost();
  return 0.002 + 1.5e-8 * static_cast<double>(cost.macs) +
         2e-8 * static_cast<double>(cost.weight_bytes) +
         1e-8 * static_cast<double>(cost.activation_bytes);
}

// Channels cost by blocks of 16, but those of an image.
inline double staircase_machine(const OpSpec& op) {
  if (op.kind() == "flatten") return 0;
  const Shape shape = op.in_shape();
  const std::int64_t pixels = shape.rank() == 4 ? shape[2] * shape[3] : 1;
  const std::int64_t c = op.widths().in;
  const auto in = static_cast<double>(c <= 3 ? c : round_up(c, 16));
  const auto out = static_cast<double>(round_up(op.widths().out, 16));
  return 0.003 + static_cast<double>(pixels) * (1e-7 * in + 3e-7 * out + 2e-8 * in * out);
}

inline NetworkTiming time_on(Machine machine, const Architecture& arch, double between = 1,
                             double noise = 0, std::uint64_t seed = 0) {
  NetworkTiming t{.graph = fuse(lower(arch))};
  const Philox random{seed, 3};
  for (int op = 0; op < static_cast<int>(t.graph.ops.size()); ++op) {
    const double exact = machine(t.graph.ops[op].spec);
    if (exact == 0) continue;  // absent
    const double ms = exact * (1 + noise * (2 * random.uniform(op) - 1));
    t.op_ms[op] = ms;
    t.total_ms += between * ms;
  }
  return t;
}

inline Architecture slim_vgg() {
  const Architecture vgg = zoo("vgg11");
  return scale_width(vgg, 0.25, 8);
}

inline std::vector<NetworkTiming> sampled(Machine machine, int n, std::uint64_t seed,
                                          double between = 1, double noise = 0) {
  const Architecture arch = slim_vgg();
  std::vector<NetworkTiming> timings;
  for (const auto& w : sample_widths(widths(arch), {.kind = SamplingKind::latin_hypercube,
                                                   .samples = n,
                                                   .low = 0.5,
                                                   .high = 4,
                                                   .round_to = 4,
                                                   .seed = seed})) {
    timings.push_back(time_on(machine, with_widths(arch, w), between, noise, timings.size()));
  }
  return timings;
}

}  // namespace hac
