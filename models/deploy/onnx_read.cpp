#include "models/deploy/onnx_read.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <set>
#include <utility>

#include "kernels/core/error.h"
#include "models/deploy/onnx_node.h"
#include "models/deploy/onnx_proto.h"

namespace hac {
namespace {

// Walks the nodes of a model whose shapes are inferred. Nodes that compute no numbers of the
// network (Identity, Dropout, shapes for a Reshape) leave no operation.
class GraphReader {
 public:
  explicit GraphReader(const onnx::ModelProto& model) : proto_(model.graph()) {
    for (const onnx::TensorProto& t : proto_.initializer()) constants_[t.name()] = &t;
    for (const auto* values : {&proto_.input(), &proto_.value_info(), &proto_.output()}) {
      for (const onnx::ValueInfoProto& v : *values) types_.add(v);
    }
  }

  OnnxGraph read() {
    read_input();
    for (const onnx::NodeProto& proto : proto_.node()) {
      const OnnxNode node(proto, constants_);
      if (proto.op_type() == "Constant") {
        keep_constant(node, proto);
      } else if (node.constant(0) && node.type() == "Identity") {
        constants_[node.output()] = constants_.at(node.input(0));
      } else if (node.constant(0) && node.type() == "Transpose") {
        constants_[node.output()] = &made_.emplace_back(node.transposed_constant());
      } else if (!types_.integers(node.output())) {
        add(node);
      }
    }
    finish();
    return std::move(out_);
  }

 private:
  void read_input() {
    std::vector<const onnx::ValueInfoProto*> inputs;
    for (const onnx::ValueInfoProto& v : proto_.input()) {
      if (!constants_.contains(v.name())) inputs.push_back(&v);
    }
    if (inputs.size() != 1 || proto_.output_size() != 1) {
      throw ConfigError(fmt::format("expected one input and one output, got {} and {}",
                                    inputs.size(), proto_.output_size()));
    }
    const Dims dims = types_.dims(inputs[0]->name(), " (hint: --resolution)");
    const int type = inputs[0]->type().tensor_type().elem_type();
    if (dims.size() != 4 || type != onnx::TensorProto::FLOAT) {
      throw ConfigError(fmt::format(
          "input '{}': expected FLOAT (N, C, H, W), got {} ({})", inputs[0]->name(),
          onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type)),
          fmt::join(dims, ", ")));
    }
    out_.graph.input = {dims[0], dims[1], dims[2], dims[3]};
    values_[inputs[0]->name()] = -1;
    out_.name = proto_.name();
  }

  void keep_constant(const OnnxNode& node, const onnx::NodeProto& proto) {
    for (const onnx::AttributeProto& a : proto.attribute()) {
      if (a.name() == "value") constants_[node.output()] = &a.t();
    }
  }

  void add(const OnnxNode& node) {
    using Add = void (GraphReader::*)(const OnnxNode&);
    static const std::map<std::string, Add> kinds{
        {"Conv", &GraphReader::conv},
        {"BatchNormalization", &GraphReader::batch_norm},
        {"Relu", &GraphReader::relu},
        {"Clip", &GraphReader::clip},
        {"Sigmoid", &GraphReader::sigmoid},
        {"Mul", &GraphReader::mul},
        {"Add", &GraphReader::sum},
        {"MaxPool", &GraphReader::pool},
        {"AveragePool", &GraphReader::pool},
        {"GlobalAveragePool", &GraphReader::global_pool},
        {"ReduceMean", &GraphReader::reduce_mean},
        {"Flatten", &GraphReader::flatten},
        {"Reshape", &GraphReader::flatten},
        {"Squeeze", &GraphReader::flatten},
        {"Gemm", &GraphReader::gemm},
        {"MatMul", &GraphReader::mat_mul},
        {"Identity", &GraphReader::pass},
        {"Dropout", &GraphReader::pass},
        {"Pad", &GraphReader::pad},
    };
    const auto kind = kinds.find(node.type());
    if (kind == kinds.end()) {
      std::vector<std::string> known;
      for (const auto& [name, function] : kinds) known.push_back(name);
      node.no(fmt::format("one of {}", fmt::join(known, ", ")));
    }
    (this->*kind->second)(node);
  }

  void conv(const OnnxNode& node) {
    const Shape in = image(node);
    const Tensor weight = node.tensor(1);
    if (weight.shape().rank() != 4) node.no("weights of 4 dimensions, got " + weight.shape().str());
    const Shape& w = weight.shape();
    Conv2dSpec s{.n = in[0],
                 .c = in[1],
                 .h = in[2],
                 .w = in[3],
                 .k = w[0],
                 .r = w[2],
                 .s = w[3],
                 .groups = node.integer("group", 1),
                 .bias = node.has(2)};
    set_window(node, {s.r, s.s}, s);
    std::map<std::string, Tensor> parameters{{"weight", weight}};
    if (s.bias) parameters["bias"] = node.tensor(2);
    append(node, s, {value(node, 0)}, std::move(parameters));
  }

  void batch_norm(const OnnxNode& node) {
    node.require("training_mode", 0);
    const Shape in = image(node);
    const BatchNormSpec s{.n = in[0], .c = in[1], .h = in[2], .w = in[3]};
    const float eps = node.real("epsilon", 1e-5f);
    const Tensor gamma = node.tensor(1), var = node.tensor(4);
    if (eps != s.eps) {
      for (std::int64_t i = 0; i < std::min(gamma.numel(), var.numel()); ++i) {
        const double v = var.as<float>()[i];
        gamma.as<float>()[i] *= static_cast<float>(std::sqrt((v + s.eps) / (v + eps)));
      }
      ++out_.other_epsilons;
    }
    append(node, s, {value(node, 0)},
           {{"weight", gamma},
            {"bias", node.tensor(2)},
            {"running_mean", node.tensor(3)},
            {"running_var", var}});
  }

  void activation(const OnnxNode& node, Activation a, int x) {
    append(node, ActivationSpec{.activation = a, .shape = shape(x)}, {x});
  }
  void relu(const OnnxNode& node) { activation(node, Activation::relu, value(node, 0)); }
  void clip(const OnnxNode& node) {
    constexpr float all = std::numeric_limits<float>::max();
    const float low = node.inputs() > 1 ? node.scalar(1, -all) : node.real("min", -all);
    const float high = node.inputs() > 2 ? node.scalar(2, all) : node.real("max", all);
    if (low != 0 || high != 6)
      node.no(fmt::format("limits 0 and 6 (ReLU6), got {} and {}", low, high));
    activation(node, Activation::relu6, value(node, 0));
  }

  // A sigmoid is part of a SiLU or of a gate; which one, the product behind it says.
  void sigmoid(const OnnxNode& node) {
    sigmoids_.emplace(node.output(), std::pair(node, value(node, 0)));
  }
  void mul(const OnnxNode& node) {
    for (const int i : {0, 1}) {
      const auto it = sigmoids_.find(node.input(i));
      if (it == sigmoids_.end()) continue;
      const int x = value(node, 1 - i), g = it->second.second;
      used_sigmoids_.insert(it->first);
      if (x == g) return activation(node, Activation::silu, x);
      const Shape in = shape(x);
      const GateSpec s{
          .n = in[0], .c = in[1], .h = in.rank() == 4 ? in[2] : 0, .w = in.rank() == 4 ? in[3] : 0};
      if (in.rank() != 4 || shape(g) != s.gate_shape()) {
        node.no(fmt::format("a gate (N, C, 1, 1) for {}, got {}", in.str(), shape(g).str()));
      }
      return append(node, s, {x, g});
    }
    node.no("the product with a sigmoid (SiLU, or the gate of squeeze-and-excitation)");
  }

  void sum(const OnnxNode& node) {
    for (const int i : {0, 1}) {
      if (!node.constant(i)) continue;
      const int x = value(node, 1 - i);
      auto* linear = x < 0 ? nullptr : std::get_if<LinearSpec>(&out_.graph.ops[x].spec);
      if (!linear || linear->bias) node.no("two computed values, or a bias behind MatMul");
      linear->bias = true;
      Tensor bias = node.tensor(i);
      if (bias.numel() == linear->out) bias = bias.reshape({linear->out});
      out_.parameters[x]["bias"] = bias;
      check_parameters(node, x);
      values_[node.output()] = x;
      return;
    }
    const int a = value(node, 0), b = value(node, 1);
    if (shape(a) != shape(b)) {
      node.no(fmt::format("values of one shape, got {} and {}", shape(a).str(), shape(b).str()));
    }
    append(node, AddSpec{.shape = shape(a)}, {a, b});
  }

  void pool(const OnnxNode& node) {
    const Shape in = image(node);
    const bool max = node.type() == "MaxPool";
    Pool2dSpec s{.mode = max ? PoolMode::max : PoolMode::avg,
                 .n = in[0],
                 .c = in[1],
                 .h = in[2],
                 .w = in[3]};
    const Dims kernel = node.integers("kernel_shape", {});
    if (kernel.size() != 2 || kernel[0] != kernel[1]) {
      node.no(fmt::format("a square kernel_shape, got [{}]", fmt::join(kernel, ", ")));
    }
    s.kernel = kernel[0];
    const std::int64_t own_padding = set_window(node, kernel, s);
    // ONNX leaves the node's own padding out of the mean where nothing is said.
    if (!max && own_padding > 0 && node.integer("count_include_pad", 0) != 1) {
      node.no("count_include_pad 1, got 0");
    }
    if (s.kernel == 1 && s.stride == 1 && s.pad == 0) return pass(node);
    append(node, s, {value(node, 0)});
  }

  void global_pool(const OnnxNode& node) {
    if (padded_.contains(node.input(0))) node.no("an image without zeros around it");
    const Shape in = image(node);
    append(node,
           Pool2dSpec{.mode = PoolMode::global_avg, .n = in[0], .c = in[1], .h = in[2], .w = in[3]},
           {value(node, 0)});
  }

  void reduce_mean(const OnnxNode& node) {
    Dims axes = node.has(1) ? node.integers(1) : node.integers("axes", {});
    for (std::int64_t& a : axes) a += a < 0 ? 4 : 0;
    std::sort(axes.begin(), axes.end());
    if (axes != Dims{2, 3}) node.no(fmt::format("axes [2, 3], got [{}]", fmt::join(axes, ", ")));
    global_pool(node);
    if (node.integer("keepdims", 1) != 0) return;
    append(node, FlattenSpec{.shape = shape(values_.at(node.output()))},
           {values_.at(node.output())});
  }

  void flatten(const OnnxNode& node) {
    const int x = value(node, 0);
    const Shape in = shape(x);
    const std::int64_t row = in.numel() / in[0];
    const Dims dims = types_.dims(node.output());
    if (dims != Dims{in[0], row}) {
      node.no(fmt::format("({}, {}) of {}, got ({})", in[0], row, in.str(), fmt::join(dims, ", ")));
    }
    if (in.rank() == 2) return pass(node);
    append(node, FlattenSpec{.shape = in}, {x});
  }

  void gemm(const OnnxNode& node) {
    node.require("transA", 0);
    for (const char* factor : {"alpha", "beta"}) {
      if (node.real(factor, 1) != 1)
        node.no(fmt::format("{} 1, got {}", factor, node.real(factor, 1)));
    }
    linear(node, node.integer("transB", 0) == 0);
  }
  void mat_mul(const OnnxNode& node) { linear(node, true); }

  // weights (in, out) where transposed.
  void linear(const OnnxNode& node, bool transposed) {
    const int x = value(node, 0);
    Tensor weight = node.tensor(1);
    if (weight.shape().rank() != 2 || shape(x).rank() != 2) {
      node.no(fmt::format("a flattened input and 2 dimensions of weights, got {} and {}",
                          shape(x).str(), weight.shape().str()));
    }
    if (transposed) weight = transpose(weight);
    const LinearSpec s{
        .n = shape(x)[0], .in = shape(x)[1], .out = weight.shape()[0], .bias = node.has(2)};
    std::map<std::string, Tensor> parameters{{"weight", weight}};
    if (s.bias) parameters["bias"] = node.tensor(2);
    append(node, s, {x}, std::move(parameters));
  }

  // Zeros around the image, which become padding of what reads it; nothing else may.
  void pad(const OnnxNode& node) {
    const Dims pads = node.has(1) ? node.integers(1) : node.integers("pads", {});
    const std::int64_t p = pads.size() == 8 ? pads[2] : -1;
    if (node.text("mode", "constant") != "constant" || node.scalar(2, node.real("value", 0)) != 0 ||
        p < 0 || pads != Dims{0, 0, p, p, 0, 0, p, p}) {
      node.no(fmt::format("as many zeros on each side of the image, got pads [{}]",
                          fmt::join(pads, ", ")));
    }
    if (p > 0) padded_[node.output()] = p;
    pass(node);
  }

  void pass(const OnnxNode& node) { values_[node.output()] = value(node, 0); }

  // Returns the node's own padding, without that of a Pad before it.
  std::int64_t set_window(const OnnxNode& node, const Dims& kernel, auto& spec) {
    const Window window =
        node.window(kernel, types_.dims(node.input(0)), types_.dims(node.output()));
    spec.stride = window.stride;
    spec.pad = window.pad;
    const auto padded = padded_.find(node.input(0));
    if (padded == padded_.end()) return window.pad;
    if (node.type() == "MaxPool") node.no("padding of its own, which is no zeros");
    spec.pad += padded->second;
    return window.pad;
  }

  void append(const OnnxNode& node, OpSpec spec, std::vector<int> inputs,
              std::map<std::string, Tensor> parameters = {}) {
    const Dims dims = types_.dims(node.output());
    const Shape out = spec.out_shape();
    Dims own;
    for (int i = 0; i < out.rank(); ++i) own.push_back(out[i]);
    const bool reduced = node.type() == "ReduceMean";  // two operations
    if (own != dims && !reduced) {
      node.no(fmt::format("an output {}, got ({}){}", out.str(), fmt::join(dims, ", "),
                          node.integer("ceil_mode", 0) != 0 ? " by ceil_mode 1" : ""));
    }
    const int index = static_cast<int>(out_.graph.ops.size());
    out_.graph.ops.push_back({.name = parameters.empty() ? "" : node.module(),
                              .spec = std::move(spec),
                              .inputs = std::move(inputs)});
    out_.labels.push_back(node.label());
    out_.parameters.push_back(std::move(parameters));
    values_[node.output()] = index;
    check_parameters(node, index);
  }

  void check_parameters(const OnnxNode& node, int op) const {
    const OpSpec& spec = out_.graph.ops[op].spec;
    for (const auto& [name, tensor] : out_.parameters[op]) {
      const Shape wanted = parameter_shape(spec, name);
      if (tensor.shape() != wanted) {
        node.no(fmt::format("{} of {}, got {}", name, wanted.str(), tensor.shape().str()));
      }
    }
  }

  int value(const OnnxNode& node, int i) const {
    const auto it = values_.find(node.input(i));
    if (it != values_.end()) return it->second;
    const auto sigmoid = sigmoids_.find(node.input(i));
    if (sigmoid != sigmoids_.end()) {
      sigmoid->second.first.no(
          "a product with it behind it (SiLU, or the gate of squeeze-and-excitation)");
    }
    node.no(fmt::format("a computed value, got '{}'", node.input(i)));
  }

  Shape shape(int value) const {
    return value < 0 ? out_.graph.input : out_.graph.ops[value].out();
  }

  Shape image(const OnnxNode& node) const {
    const Shape in = shape(value(node, 0));
    if (in.rank() != 4) node.no("an input (N, C, H, W), got " + in.str());
    return in;
  }

  void finish() const {
    for (const auto& [name, sigmoid] : sigmoids_) {
      if (!used_sigmoids_.contains(name)) sigmoid.first.no("a product with it behind it");
    }
    const auto last = values_.find(proto_.output(0).name());
    if (last == values_.end() || last->second + 1 != std::ssize(out_.graph.ops)) {
      throw ConfigError(
          fmt::format("output '{}': expected the last node's", proto_.output(0).name()));
    }
  }

  const onnx::GraphProto& proto_;
  OnnxNode::Constants constants_;
  std::deque<onnx::TensorProto> made_;
  OnnxTypes types_;
  std::map<std::string, std::int64_t> padded_;  // by name, zeros on each side of the value
  std::map<std::string, int> values_;           // by name, the op that makes it; -1 the input
  std::map<std::string, std::pair<OnnxNode, int>> sigmoids_;  // by output: of which value
  std::set<std::string> used_sigmoids_;
  OnnxGraph out_;
};

}  // namespace

OnnxGraph read_onnx(const std::string& bytes, std::optional<std::int64_t> resolution) {
  const onnx::ModelProto model = parse_model(bytes, resolution);
  OnnxGraph graph = GraphReader(model).read();
  if (model.producer_name() == onnx_producer) {
    for (const onnx::StringStringEntryProto& entry : model.metadata_props()) {
      graph.metadata[entry.key()] = entry.value();
    }
  }
  return graph;
}

}  // namespace hac
