#include "scaling/latency/step_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "kernels/core/error.h"
#include "kernels/ops/conv2d_channels.h"
#include "kernels/ops/predictions.h"

namespace hac {
namespace {

constexpr double float_bytes = 4;
constexpr std::int64_t tensors_a_launch = 64;  // of an update (kernels/device/segments.cuh)

double numel(const Shape& shape) { return static_cast<double>(shape.numel()); }

// Of an operation and a batch of one image. Bytes are counted in elements of activations, but for
// indices of maxima.
struct OpWork {
  KernelWork sums, passes;
  KernelWork evaluation;
  double fused = 0;  // StepWork::fused_bytes
};

// By what the kernels of an operation read and write, both directions.
struct OwnWork {
  double element;   // bytes
  bool pooled;      // the max pool behind a batch norm is its own
  bool normalized;  // batch norms alone read the value
  bool gradient;    // its input needs one

  OpWork passes(std::int64_t launches, double elements, double forward, double bytes = 0) const {
    OpWork work{.passes = {launches, element * elements + bytes},
                .evaluation = {1, element * forward}};
    work.fused = work.passes.bytes;
    return work;
  }
  OpWork operator()(const BatchNormSpec& s) const {
    const double x = numel(s.shape()), y = pooled ? x / 4 : x;
    const double index = pooled ? y : 0;  // a byte each
    const double residual = s.add ? x : 0;
    // Behind a residual the sums read the output, where an activation masks by it, and leave what
    // goes on to both inputs, where the gradient's pass finds it.
    const double mask = s.add && s.activation != Activation::none ? x : 0;
    OpWork work;
    work.sums = {2, element * (2 * x + y + mask + residual) + index};
    work.passes = {2, element * (3 * x + 2 * y + residual) + 2 * index};
    work.evaluation = {1, element * (2 * x + residual)};
    // Without a mask it is the gradient that came.
    work.fused = work.sums.bytes + work.passes.bytes - (mask > 0 ? 0 : element * residual);
    return work;
  }
  OpWork operator()(const Pool2dSpec& s) const {
    const double x = numel(s.in_shape()), y = numel(s.out_shape());
    return passes(2, 2 * (x + y), x + y, s.mode == PoolMode::max ? 2 * y : 0);
  }
  OpWork operator()(const ActivationSpec& s) const {
    return passes(2, 5 * numel(s.shape), 2 * numel(s.shape));
  }
  OpWork operator()(const AddSpec& s) const {
    return passes(1, 3 * numel(s.shape), 3 * numel(s.shape));
  }
  OpWork operator()(const DropoutSpec& s) const {
    OpWork work = passes(2, 4 * numel(s.shape), 0);
    work.evaluation = {};
    return work;
  }
  OpWork operator()(const GateSpec& s) const {
    const double x = numel(s.in_shape()), g = numel(s.gate_shape());
    return passes(2, 5 * x + 3 * g, 2 * x + g);
  }
  OpWork bias_gradient(const Shape& out) const {
    return {.sums = {1, element * numel(out)}, .fused = element * numel(out)};
  }
  OpWork operator()(const LinearSpec& s) const {
    return s.bias ? bias_gradient(s.out_shape()) : OpWork{};
  }
  OpWork operator()(const Conv2dSpec& s) const {
    OpWork work = s.bias && !normalized ? bias_gradient(s.out_shape()) : OpWork{};
    if (pads_channels(s)) add_padding(work, s);
    return work;
  }
  // Weights are widened for the output and their gradient is narrowed. An input that is not the
  // network's is widened too; for its gradient weights are widened once more, and it is narrowed.
  void add_padding(OpWork& work, const Conv2dSpec& s) const {
    const double both = static_cast<double>(s.c + wide_channels) * element;
    const KernelWork weights{1, both * static_cast<double>(s.k * s.r * s.s)};
    const KernelWork image{1, both * static_cast<double>(s.n * s.h * s.w)};
    work.evaluation += weights;
    (work.passes += weights) += weights;
    if (!gradient) return;
    work.evaluation += image;
    ((work.passes += image) += weights) += image;
  }
  // Of a map of one position the layouts are the same.
  OpWork operator()(const FlattenSpec& s) const {
    const bool same = s.shape[2] * s.shape[3] == 1;
    OpWork work = same ? OpWork{} : passes(2, 4 * numel(s.shape), 2 * numel(s.shape));
    work.fused = 0;
    return work;
  }
};

// Outputs, weights' gradients and, unless it reads the network's input, its input's gradient.
void add_products(std::vector<OpSpec>& products, const Op& op, bool training) {
  const bool gradient = op.inputs[0] >= 0;
  if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) {
    for (const Pass pass : {Pass::forward, Pass::backward_weights, Pass::backward_data}) {
      if (pass != Pass::forward && !training) continue;
      if (pass == Pass::backward_data && !gradient) continue;
      Conv2dSpec spec = *conv;
      spec.pass = pass;
      products.emplace_back(spec);
    }
  } else if (const auto* linear = std::get_if<LinearSpec>(&op.spec)) {
    const auto [dtype, n, in, out, bias] = *linear;
    products.emplace_back(*linear);
    if (training) products.emplace_back(LinearSpec{dtype, out, n, in, false});
    if (training && gradient) products.emplace_back(LinearSpec{dtype, n, out, in, false});
  }
}

// Scalars of an operation's parameters, and how many tensors they are.
struct Parameters {
  std::int64_t tensors = 0;
  double weights = 0, others = 0;  // of a convolution's kernels; biases, scales and the classifier
  bool copied = false;             // a 16-bit copy is kept for products

  static Parameters of(const Op& op) {
    if (const auto* conv = std::get_if<Conv2dSpec>(&op.spec)) {
      return {1 + conv->bias, numel(conv->weight_shape()),
              static_cast<double>(conv->bias ? conv->k : 0), true};
    }
    if (const auto* linear = std::get_if<LinearSpec>(&op.spec)) {
      return {1 + linear->bias, 0,
              numel(linear->weight_shape()) + static_cast<double>(linear->bias ? linear->out : 0),
              true};
    }
    const auto* norm = std::get_if<BatchNormSpec>(&op.spec);
    return norm ? Parameters{2, 0, static_cast<double>(2 * norm->c), false} : Parameters{};
  }
};

// Weight and momentum are read and written, a 16-bit copy is written; gradients of kernels have the
// type of the activations, unless a loss scale was divided out of them before.
void add_updates(StepWork& work, const Graph& graph, Dtype dtype) {
  const double element = static_cast<double>(size_of(dtype));
  const bool scaled = dtype == Dtype::f16;
  std::int64_t tensors = 0;
  double bytes = 0, divided = 0;
  for (const Op& op : graph.ops) {
    const Parameters p = Parameters::of(op);
    const double values = p.weights + p.others;
    const double copy = p.copied && dtype != Dtype::f32 ? element : 0;
    const double gradients = p.weights * element + p.others * float_bytes;
    const double kept = values * (4 * float_bytes + copy);
    tensors += p.tensors;
    bytes += kept + (scaled ? values * float_bytes : gradients);
    divided += gradients + values * float_bytes;
    work.fused_bytes += kept + gradients;
  }
  const std::int64_t launches = ceil_div(tensors, tensors_a_launch);
  work.updates = {launches, bytes};
  if (scaled) work.updates += {launches + 1, divided};  // and the scale
}

// Bytes of a set that lies on the device, as the network reads them; and their labels.
KernelWork images_of(const Graph& graph, double element) {
  const Layout layout = input_layout({DeviceKind::simt, 0}, graph);
  const auto stored = static_cast<double>(storage_elements(layout, graph.input));
  return {2, numel(graph.input) + stored * element};
}

// Logits, and probabilities in f32, both ways.
KernelWork loss_of(const Graph& graph, double element) {
  return {2, 2 * numel(graph.ops.back().out()) * (element + float_bytes)};
}

bool read_by_batch_norm(const Graph& graph, int value) {
  return std::ranges::any_of(graph.ops, [&](const Op& op) {
    return std::holds_alternative<BatchNormSpec>(op.spec) && op.inputs[0] == value;
  });
}

// Gradients meet where several operations read a value. A batch norm among them (of a
// pre-activation block, so the last in backward) adds what is there to its own; one that made the
// value takes two, and keeps their sum, which behind an add it does anyway. Kernels add the others,
// two at a time.
OpWork gradient_sums(const Graph& graph, double element) {
  OpWork work;
  const std::vector<int> readers = reader_counts(graph);
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const double map = element * numel(graph.ops[i].out());
    int sums = std::max(0, readers[i] - 1);
    if (sums > 0 && read_by_batch_norm(graph, static_cast<int>(i))) {
      work.passes += {0, map};
      --sums;
    }
    const auto* norm = std::get_if<BatchNormSpec>(&graph.ops[i].spec);
    if (sums > 0 && norm) {
      work.sums += {0, norm->add ? map : 2 * map};
      --sums;
    }
    work.passes += {sums, 3 * sums * map};
  }
  return work;
}

Graph graph_of(const Architecture& arch, std::int64_t batch, Dtype dtype) {
  if (batch < 1) throw ShapeError(fmt::format("step: expected a batch >= 1, got {}", batch));
  return lower(arch, batch, dtype);
}

std::vector<OpWork> own_work(const Graph& graph, double element, bool pools) {
  const std::vector<int> readers = reader_counts(graph);
  std::vector<OpWork> all;
  for (std::size_t i = 0; i < graph.ops.size(); ++i) {
    const bool pooled = pools && pooled_alone(graph, readers, i);
    const bool gradient = graph.ops[i].inputs[0] >= 0;
    const OwnWork count{element, pooled, normalized(graph, static_cast<int>(i)), gradient};
    all.push_back(std::visit(count, static_cast<const AnySpec&>(graph.ops[i].spec)));
    i += pooled;
  }
  return all;
}

}  // namespace

double StepWork::product_macs() const {
  double macs = 0;
  for (const OpSpec& op : products) macs += static_cast<double>(op.cost().macs);
  return macs;
}

KernelWork StepWork::own() const {
  KernelWork all = sums;
  return (all += passes) += updates;
}

StepWork step_work(const Architecture& arch, std::int64_t batch, Dtype dtype) {
  const Graph graph = graph_of(arch, batch, dtype);
  const double element = static_cast<double>(size_of(dtype));
  StepWork work;
  for (const Op& op : graph.ops) add_products(work.products, op, true);
  for (const OpWork& op : own_work(graph, element, true)) {
    work.sums += op.sums;
    work.passes += op.passes;
    work.fused_bytes += op.fused;
  }
  const KernelWork ends = images_of(graph, element) += loss_of(graph, element);
  work.passes += ends;
  work.fused_bytes += ends.bytes;
  const OpWork meeting = gradient_sums(graph, element);
  work.sums += meeting.sums;
  work.passes += meeting.passes;
  work.passes += {2, 0};  // the step's settings, and its sums
  add_updates(work, graph, dtype);
  return work;
}

StepWork evaluation_work(const Architecture& arch, std::int64_t batch, Dtype dtype) {
  const Graph graph = graph_of(arch, batch, dtype);
  const double element = static_cast<double>(size_of(dtype));
  StepWork work;
  for (const Op& op : graph.ops) add_products(work.products, op, false);
  for (const OpWork& op : own_work(graph, element, false)) work.passes += op.evaluation;
  work.passes += images_of(graph, element);
  const double predictions = static_cast<double>(batch * sizeof(Prediction));
  work.passes += {1, element * numel(graph.ops.back().out()) + predictions};
  work.passes += {1, 0};  // where they go
  return work;
}

}  // namespace hac
