#pragma once
// What a network costs, from its Architecture alone: no memory is allocated, nothing is run.
// Per image (batch 1) unless said otherwise.

#include <array>
#include <cstdint>

#include "models/arch/graph.h"

namespace hac {

struct Counters {
  std::int64_t params = 0;        // trainable scalars
  std::int64_t macs = 0;          // multiply-accumulates of convolutions and linear layers
  std::int64_t ops_thop2021 = 0;  // the paper's "FLOPs": see kernels/core/spec.h
  std::int64_t ops_fvcore = 0;    // see counting_rules
  std::int64_t ops_ptflops = 0;
  std::int64_t activations = 0;  // elements of convolution outputs (Dollar et al. 2021)
  std::int64_t weight_bytes = 0;
  std::int64_t activation_bytes = 0;       // sum over ops of inputs read and outputs written
  std::int64_t peak_activation_bytes = 0;  // most bytes of values alive at once in inference,
                                           // freed after last use, f32, logical sizes
  bool operator==(const Counters&) const = default;
};

// "FLOPs" as the tools in use count them, all of inference, a multiply-add as one.
//   THOP 2021   Lyken17/pytorch-OpCounter at 7e90a90: the paper's
//   fvcore      facebookresearch/fvcore at 017141c, nn/jit_handles.py and nn/flop_count.py
//   ptflops     sovrasov/flops-counter.pytorch at b5c9ef7, ptflops/pytorch_ops.py: its hooks on
//               modules (0.7 counts activations and pooling again, as functionals)
struct CountingRule {
  const char *key, *name;
  const char* counts;  // beside the multiply-adds of convolutions and linear layers
  std::int64_t Counters::*value;
};
inline constexpr std::array counting_rules = {
    CountingRule{"macs", "MACs", "nothing else", &Counters::macs},
    CountingRule{
        "ops_thop2021", "THOP 2021",
        "convolutions' bias; batch norm 2 an element; global average pool h w + 1 a channel",
        &Counters::ops_thop2021},
    CountingRule{"ops_fvcore", "fvcore",
                 "batch norm 2 an element; global average pool 1 an element read",
                 &Counters::ops_fvcore},
    CountingRule{"ops_ptflops", "ptflops",
                 "all bias; batch norm 2 an element; relu, relu6 and silu 1; pooling 1 an element "
                 "read",
                 &Counters::ops_ptflops},
};

Counters count(const Graph& graph);
Counters count(const Architecture& arch);  // count(lower(arch, 1))

}  // namespace hac
