#include "models/arch/graph.h"

#include <fmt/format.h>

#include <optional>

#include "kernels/core/error.h"
#include "kernels/ops/conv2d_channels.h"

namespace hac {
namespace {

template <std::size_t I = 0>
std::optional<OpSpec> parse_alternative(std::string_view text) {
  if constexpr (I == std::variant_size_v<AnySpec>) {
    return std::nullopt;
  } else {
    std::variant_alternative_t<I, AnySpec> spec;
    if (spec.parse(text)) return spec;
    return parse_alternative<I + 1>(text);
  }
}

}  // namespace

Dtype OpSpec::dtype() const {
  return std::visit([](const Spec auto& s) { return s.dtype; }, *this);
}
std::string OpSpec::kind() const {
  return std::visit([](const Spec auto& s) { return std::string(s.kind()); }, *this);
}
Shape OpSpec::in_shape() const {
  return std::visit([](const Spec auto& s) { return s.in_shape(); }, *this);
}
Shape OpSpec::out_shape() const {
  return std::visit([](const Spec auto& s) { return s.out_shape(); }, *this);
}
Cost OpSpec::cost() const {
  return std::visit([](const Spec auto& s) { return s.cost(); }, *this);
}
std::string OpSpec::str() const {
  return std::visit([](const Spec auto& s) { return s.str(); }, *this);
}
Widths OpSpec::widths() const {
  return std::visit([](const Spec auto& s) { return s.widths(); }, *this);
}
OpSpec OpSpec::with(Widths widths) const {
  return std::visit([&](const Spec auto& s) { return OpSpec(s.with(widths)); }, *this);
}

OpSpec parse_spec(std::string_view text) {
  if (const std::optional<OpSpec> spec = parse_alternative(text)) return *spec;
  throw ConfigError(fmt::format("spec: expected one like {}, got '{}'",
                                "conv2d:f32,n1c64h32w32,k128r3s3,st1p1g1", text.substr(0, 80)));
}

Layout input_layout(Device device, const Graph& graph) {
  const Layout own = layout_of(device, graph.input);
  std::optional<Layout> all;
  for (const Op& op : graph.ops) {
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      if (op.inputs[i] >= 0) continue;
      // A residual, even of a convolution, lies as activations do.
      const auto* conv = i == 0 ? std::get_if<Conv2dSpec>(&op.spec) : nullptr;
      const Layout wanted = conv ? input_layout(device, *conv) : own;
      if (wanted != all.value_or(wanted)) return own;
      all = wanted;
    }
  }
  return all.value_or(own);
}

std::vector<const Op*> uneven_convolutions(const Graph& graph) {
  std::vector<const Op*> uneven;
  for (const Op& op : graph.ops) {
    const auto* s = std::get_if<Conv2dSpec>(&op.spec);
    if (!s || s->groups > 1 || s->h * s->w == 1) continue;
    const bool image = op.inputs[0] < 0;
    if (s->k % wide_channels != 0 || (!image && s->c % wide_channels != 0)) uneven.push_back(&op);
  }
  return uneven;
}

std::vector<int> reader_counts(const Graph& graph) {
  std::vector<int> readers(graph.ops.size(), 0);
  for (const Op& op : graph.ops) {
    for (const int i : op.inputs) {
      if (i >= 0) ++readers[i];
    }
  }
  return readers;
}

bool pooled_alone(const Graph& graph, const std::vector<int>& readers, std::size_t i) {
  const auto* norm = std::get_if<BatchNormSpec>(&graph.ops[i].spec);
  if (!norm || !norm->poolable() || readers[i] != 1 || i + 1 == graph.ops.size()) return false;
  const Op& next = graph.ops[i + 1];
  const auto* pool = std::get_if<Pool2dSpec>(&next.spec);
  return pool && next.inputs[0] == static_cast<int>(i) && pool->mode == PoolMode::max &&
         pool->kernel == 2 && pool->stride == 2 && pool->pad == 0;
}

bool normalized(const Graph& graph, int i) {
  int readers = 0;
  for (const Op& op : graph.ops) {
    for (std::size_t j = 0; j < op.inputs.size(); ++j) {
      if (op.inputs[j] != i) continue;
      if (j > 0 || !std::holds_alternative<BatchNormSpec>(op.spec)) return false;
      ++readers;
    }
  }
  return readers > 0;
}

}  // namespace hac
