#pragma once
// What a network costs, from its Architecture alone: no memory is allocated, nothing is run.
// Per image (batch 1) unless said otherwise.

#include <cstdint>

#include "models/arch/graph.h"

namespace hac {

struct Counters {
  std::int64_t params = 0;        // trainable scalars
  std::int64_t macs = 0;          // multiply-accumulates of convolutions and linear layers
  std::int64_t ops_thop2021 = 0;  // the paper's "FLOPs": see kernels/core/spec.h
  std::int64_t activations = 0;   // elements of convolution outputs (Dollar et al. 2021)
  std::int64_t weight_bytes = 0;
  std::int64_t activation_bytes = 0;       // sum over ops of inputs read and outputs written
  std::int64_t peak_activation_bytes = 0;  // most bytes of values alive at once in inference,
                                           // freed after last use, f32, logical sizes
  bool operator==(const Counters&) const = default;
};

Counters count(const Graph& graph);
Counters count(const Architecture& arch);  // count(lower(arch, 1))

}  // namespace hac
