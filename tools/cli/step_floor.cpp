#include "tools/cli/step_floor.h"

#include <variant>

#include "models/arch/graph.h"

namespace hac {
namespace {

constexpr double float_bytes = 4;

double numel(const Shape& shape) { return static_cast<double>(shape.numel()); }

// Bytes of both directions, by what an element of an activation takes.
struct OwnBytes {
  double element;
  bool pooled;  // the max pool behind a batch norm is its own

  double operator()(const BatchNormSpec& s) const {
    const double x = numel(s.shape()), y = pooled ? x / 4 : x;
    const double index = pooled ? 3 * y : 0;  // written once, read twice
    const bool masks = s.add && s.activation != Activation::none;
    // The residual and, of an activation behind it, its output and what goes on to both inputs.
    const double added = s.add ? x : 0, masked = masks ? 2 * x : 0;
    return element * (5 * x + 3 * y + added + masked) + index;
  }
  double operator()(const Pool2dSpec& s) const {
    const double index = s.mode == PoolMode::max ? 2 * numel(s.out_shape()) : 0;
    return 2 * element * (numel(s.in_shape()) + numel(s.out_shape())) + index;
  }
  double operator()(const ActivationSpec& s) const { return 5 * element * numel(s.shape); }
  double operator()(const AddSpec& s) const { return 3 * element * numel(s.shape); }
  double operator()(const DropoutSpec& s) const { return 4 * element * numel(s.shape); }
  double operator()(const GateSpec& s) const {
    return element * (5 * numel(s.in_shape()) + 4 * numel(s.gate_shape()));
  }
  double operator()(const LinearSpec& s) const { return element * numel(s.out_shape()); }
  double operator()(const Conv2dSpec&) const { return 0; }
  double operator()(const FlattenSpec&) const { return 0; }
};

// Weight and momentum are read and written, a 16-bit copy is written; of a product's weights the
// gradient has the type of the activations.
double update_bytes(const Model& model, double element) {
  double bytes = 0;
  for (const Parameter& p : model.parameters()) {
    const Var& v = p.var;
    const double copy = v.copy().defined() ? static_cast<double>(size_of(v.copy().dtype())) : 0;
    const double gradient = v.shape().rank() == 4 ? element : float_bytes;
    bytes += numel(v.shape()) * (gradient + 4 * float_bytes + copy);
  }
  return bytes;
}

}  // namespace

StepFloor step_floor(const Model& model, std::int64_t batch) {
  const Graph& graph = model.graph();
  const std::vector<int> readers = reader_counts(graph);
  const double element = static_cast<double>(size_of(model.dtype())),
               images = static_cast<double>(batch);
  StepFloor floor{.own_bytes = update_bytes(model, element)};
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const OpSpec& spec = graph.ops[i].spec;
    const bool pooled = pooled_alone(graph, readers, i);
    floor.own_bytes +=
        images * std::visit(OwnBytes{element, pooled}, static_cast<const AnySpec&>(spec));
    if (const std::int64_t macs = spec.cost().macs; macs > 0) {
      const int directions = floor.products == 0 ? 2 : 3;
      floor.product_macs += images * directions * static_cast<double>(macs);
      floor.products += directions;
    }
    i += pooled;
  }
  // Logits, and probabilities in f32; images, and what the network reads of them.
  const double classes = images * static_cast<double>(model.arch().classes);
  floor.own_bytes += classes * 2 * (element + float_bytes);
  floor.own_bytes +=
      images * numel(graph.input) * (element == float_bytes ? 2 * element : element + float_bytes);
  return floor;
}

}  // namespace hac
