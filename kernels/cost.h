#pragma once
// What one operation costs, read off its spec. Sums over a network are the counters of
// models/counters.h.

#include <cstdint>

namespace hac {

struct Cost {
  std::int64_t params = 0;        // trainable scalars (running statistics are not trainable)
  std::int64_t macs = 0;          // multiply-accumulates of convolutions and linear layers
  std::int64_t ops_thop = 0;      // THOP 2021 operations, the unit of the paper's Table I:
                                  // conv MACs + output elements if it has a bias, batch norm
                                  // 2 * elements, global average pool C * (h*w + 1), linear MACs
  std::int64_t weight_bytes = 0;  // parameters and running statistics read by inference
  std::int64_t activation_bytes = 0;  // inputs read and outputs written, at the logical size

  Cost& operator+=(const Cost& o) {
    params += o.params;
    macs += o.macs;
    ops_thop += o.ops_thop;
    weight_bytes += o.weight_bytes;
    activation_bytes += o.activation_bytes;
    return *this;
  }
  bool operator==(const Cost&) const = default;
};

}  // namespace hac
