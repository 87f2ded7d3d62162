#include "models/arch/counters.h"

#include <algorithm>
#include <concepts>

namespace hac {
namespace {

std::int64_t bytes_of(const Shape& shape, Dtype dtype) {
  return shape.numel() * static_cast<std::int64_t>(size_of(dtype));
}

bool keeps_value(const Op& op) {
  return std::holds_alternative<FlattenSpec>(op.spec) ||
         std::holds_alternative<DropoutSpec>(op.spec);
}

// Every op writes a value of its own and reads values that must still be there; flatten and dropout
// pass theirs on. Value 0 is the network's input, value i + 1 the output of op i.
std::int64_t peak_bytes(const Graph& graph) {
  const std::size_t count = graph.ops.size() + 1;
  std::vector<std::size_t> owner(count), last_use(count);
  std::vector<std::int64_t> bytes(count);
  bytes[0] = bytes_of(graph.input, graph.ops.front().spec.dtype());
  for (std::size_t v = 1; v < count; ++v) {
    const Op& op = graph.ops[v - 1];
    owner[v] = keeps_value(op) ? owner[op.inputs[0] + 1] : v;
    bytes[v] = bytes_of(op.out(), op.spec.dtype());
    last_use[owner[v]] = v;
    for (const int input : op.inputs) last_use[owner[input + 1]] = v;
  }
  std::int64_t alive = bytes[0], peak = bytes[0];
  std::vector<std::vector<std::size_t>> dying(count);
  for (std::size_t v = 0; v < count; ++v) {
    if (owner[v] == v) dying[last_use[v]].push_back(v);
  }
  for (std::size_t v = 1; v < count; ++v) {
    if (owner[v] == v) alive += bytes[v];
    peak = std::max(peak, alive);
    for (const std::size_t dead : dying[v]) alive -= bytes[dead];
  }
  return peak;
}

// What counting tools add to the multiply-adds of an operation (counting_rules).
struct Extras {
  std::int64_t fvcore = 0, ptflops = 0;
};

std::int64_t activated(Activation activation, std::int64_t elements) {
  switch (activation) {
    case Activation::relu:
    case Activation::relu6:
    case Activation::silu:
      return elements;
    default:
      return 0;
  }
}

Extras extras(const Op& op) {
  const std::int64_t out = op.out().numel();
  return std::visit(
      [&]<class S>(const S& s) -> Extras {
        Extras e;
        if constexpr (requires { s.activation; }) e.ptflops += activated(s.activation, out);
        if constexpr (requires { s.bias; }) e.ptflops += s.bias ? out : 0;
        if constexpr (std::same_as<S, BatchNormSpec>) e.fvcore = 2 * out, e.ptflops += 2 * out;
        if constexpr (std::same_as<S, Pool2dSpec>) {
          e.ptflops += s.in_shape().numel();
          if (s.mode == PoolMode::global_avg) e.fvcore = s.in_shape().numel();
        }
        return e;
      },
      static_cast<const AnySpec&>(op.spec));
}

}  // namespace

Counters count(const Graph& graph) {
  Cost total;
  Counters counters;
  for (const Op& op : graph.ops) {
    total += op.spec.cost();
    const Extras e = extras(op);
    counters.ops_fvcore += e.fvcore;
    counters.ops_ptflops += e.ptflops;
    if (std::holds_alternative<Conv2dSpec>(op.spec)) counters.activations += op.out().numel();
  }
  counters.params = total.params;
  counters.macs = total.macs;
  counters.ops_thop2021 = total.ops_thop;
  counters.ops_fvcore += total.macs;
  counters.ops_ptflops += total.macs;
  counters.weight_bytes = total.weight_bytes;
  counters.activation_bytes = total.activation_bytes;
  counters.peak_activation_bytes = peak_bytes(graph);
  return counters;
}

Counters count(const Architecture& arch) { return count(lower(arch, 1)); }

}  // namespace hac
