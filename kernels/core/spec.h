#pragma once
// What every spec of work has. The spec is the only description of an operation: what its kernel is
// called with, the key of plans and (without its widths) of latency tables, its cost, and the text
// that profiles, errors, benchmarks and failing tests print.

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/core/types.h"

namespace hac {

// Sums over a network are the counters of models/arch/counters.h.
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

// Channels read and written. out = 0: as many as are read. in = 0: taken out.
struct Widths {
  std::int64_t in = 0, out = 0;
  auto operator<=>(const Widths&) const = default;
};

template <class S>
concept Spec = requires(S s, const S& spec, std::string_view text, Widths widths) {
  requires std::same_as<decltype(s.dtype), Dtype>;           // of the activations
  { spec.kind() } -> std::convertible_to<std::string_view>;  // as users name it: "conv2d", "relu"
  { spec.in_shape() } -> std::convertible_to<Shape>;
  { spec.out_shape() } -> std::convertible_to<Shape>;
  { spec.cost() } -> std::same_as<Cost>;
  { spec.str() } -> std::same_as<std::string>;  // one line, exact
  { s.parse(text) } -> std::same_as<bool>;      // reads str(); false changes nothing
  { spec.widths() } -> std::same_as<Widths>;
  { spec.with(widths) } -> std::same_as<S>;  // depthwise groups follow
};

}  // namespace hac
