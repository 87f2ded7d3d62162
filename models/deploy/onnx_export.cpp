#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "data/loader/input_transform.h"
#include "kernels/core/error.h"
#include "models/deploy/folding.h"
#include "models/deploy/onnx.h"
#include "models/deploy/onnx_proto.h"

namespace hac {
namespace {

using Ints = std::vector<std::int64_t>;
using Strings = std::vector<std::string>;

void set(onnx::NodeProto& node, const char* name, const Ints& values) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t v : values) a.add_ints(v);
}
void set(onnx::NodeProto& node, const char* name, std::int64_t value) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
}
void set(onnx::NodeProto& node, const char* name, float value) {
  onnx::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOAT);
  a.set_f(value);
}

// batch 0: the dimension `batch`.
void declare(onnx::ValueInfoProto& value, const char* name, onnx::TensorProto::DataType type,
             std::int64_t batch, const Ints& rest) {
  value.set_name(name);
  onnx::TypeProto::Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  onnx::TensorShapeProto::Dimension& n = *tensor.mutable_shape()->add_dim();
  if (batch > 0) {
    n.set_dim_value(batch);
  } else {
    n.set_dim_param("batch");
  }
  for (const std::int64_t d : rest) tensor.mutable_shape()->add_dim()->set_dim_value(d);
}

// Writes a graph in evaluation mode, operation by operation.
class GraphWriter {
 public:
  GraphWriter(const Graph& graph, const std::map<std::string, Tensor>& state, onnx::GraphProto& out)
      : graph_(graph), state_(state), out_(out) {
    for (const auto& [name, tensor] : state) taken_.insert(name);
  }

  // From images under `input` to `output`.
  void write(const std::string& input, const char* output) {
    values_.clear();
    for (std::size_t i = 0; i < graph_.ops.size(); ++i) {
      const Op& op = graph_.ops[i];
      Strings inputs;
      for (const int j : op.inputs) inputs.push_back(j < 0 ? input : values_[j]);
      if (!op.name.empty()) owner_ = op.name;
      if (i + 1 == graph_.ops.size()) output_ = output;
      values_.push_back(
          std::visit([&](const auto& spec) { return add(op, spec, inputs); }, op.spec));
    }
  }

  // (x) -> x * scale + shift, of pixels in bytes (N, H, W, C).
  std::string normalise(const std::string& pixels, const InputTransform& transform,
                        std::int64_t channels) {
    owner_ = "preprocessing";
    onnx::NodeProto& cast = node("Cast", behind("cast"), {pixels});
    set(cast, "to", static_cast<std::int64_t>(onnx::TensorProto::FLOAT));
    onnx::NodeProto& transpose = node("Transpose", behind("transpose"), {cast.output(0)});
    set(transpose, "perm", Ints{0, 3, 1, 2});
    const auto constant = [&](const char* name, const std::array<float, 3>& values) {
      return initializer(unique(name), {1, channels, 1, 1}, values.data());
    };
    const std::string scale = constant("preprocessing.scale", transform.scale());
    const std::string shift = constant("preprocessing.shift", transform.shift());
    const std::string scaled = node("Mul", behind("scale"), {transpose.output(0), scale}).output(0);
    return node("Add", behind("shift"), {scaled, shift}).output(0);
  }

 private:
  std::string add(const Op& op, const Conv2dSpec& s, const Strings& in) {
    const ConvWeights weights = folded_weights(state_, op);
    Strings inputs{in[0], weight(op.name + ".weight", weights.weight)};
    if (s.bias) inputs.push_back(weight(op.name + ".bias", weights.bias));
    onnx::NodeProto& conv = node("Conv", op.name, inputs);
    set(conv, "dilations", Ints{1, 1});
    set(conv, "group", s.groups);
    window(conv, {s.r, s.s}, s.stride, s.pad);
    return finish(conv.output(0), s.add ? in[1] : "", s.activation);
  }

  std::string add(const Op& op, const BatchNormSpec& s, const Strings& in) {
    Strings inputs{in[0]};
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"}) {
      inputs.push_back(weight(op.name + part, host_copy(state_, op.name + part)));
    }
    onnx::NodeProto& norm = node("BatchNormalization", op.name, inputs);
    set(norm, "epsilon", s.eps);
    return finish(norm.output(0), s.add ? in[1] : "", s.activation);
  }

  std::string add(const Op&, const ActivationSpec& s, const Strings& in) {
    return activate(in[0], s.activation);
  }
  std::string add(const Op&, const AddSpec& s, const Strings& in) {
    return finish(in[0], in[1], s.activation);
  }
  std::string add(const Op&, const DropoutSpec&, const Strings& in) { return in[0]; }

  std::string add(const Op&, const Pool2dSpec& s, const Strings& in) {
    const std::string name = behind(std::string(s.kind()));
    if (s.mode == PoolMode::global_avg) return node("GlobalAveragePool", name, in).output(0);
    onnx::NodeProto& pool = node(s.mode == PoolMode::max ? "MaxPool" : "AveragePool", name, in);
    if (s.mode == PoolMode::avg) set(pool, "count_include_pad", std::int64_t{1});
    window(pool, {s.kernel, s.kernel}, s.stride, s.pad);
    return pool.output(0);
  }

  std::string add(const Op&, const FlattenSpec&, const Strings& in) {
    onnx::NodeProto& flatten = node("Flatten", behind("flatten"), in);
    set(flatten, "axis", std::int64_t{1});
    return flatten.output(0);
  }

  std::string add(const Op& op, const LinearSpec& s, const Strings& in) {
    Strings inputs{in[0], weight(op.name + ".weight", host_copy(state_, op.name + ".weight"))};
    if (s.bias) inputs.push_back(weight(op.name + ".bias", host_copy(state_, op.name + ".bias")));
    onnx::NodeProto& gemm = node("Gemm", op.name, inputs);
    set(gemm, "transB", std::int64_t{1});
    return gemm.output(0);
  }

  std::string add(const Op&, const GateSpec&, const Strings& in) {
    const std::string gate = node("Sigmoid", behind("sigmoid"), {in[1]}).output(0);
    return node("Mul", behind("gate"), {in[0], gate}).output(0);
  }

  std::string finish(std::string value, const std::string& residual, Activation activation) {
    if (!residual.empty()) value = node("Add", behind("add"), {value, residual}).output(0);
    return activate(value, activation);
  }

  std::string activate(const std::string& x, Activation a) {
    const std::string name(activation_names[static_cast<int>(a)]);
    switch (a) {
      case Activation::none:
        return x;
      case Activation::relu:
        return node("Relu", behind(name), {x}).output(0);
      case Activation::relu6:
        return node("Clip", behind(name), {x, scalar("relu6.min", 0), scalar("relu6.max", 6)})
            .output(0);
      case Activation::hardswish:
        return node("HardSwish", behind(name), {x}).output(0);
      case Activation::sigmoid:
        return node("Sigmoid", behind(name), {x}).output(0);
      case Activation::silu: {
        const std::string s = node("Sigmoid", behind("sigmoid"), {x}).output(0);
        return node("Mul", behind(name), {x, s}).output(0);
      }
    }
    return x;
  }

  static void window(onnx::NodeProto& node, const Ints& kernel, std::int64_t stride,
                     std::int64_t pad) {
    set(node, "kernel_shape", kernel);
    set(node, "pads", Ints{pad, pad, pad, pad});
    set(node, "strides", Ints{stride, stride});
  }

  std::string behind(const std::string& kind) const { return owner_ + "/" + kind; }

  // Its value has its name, but for the last one's.
  onnx::NodeProto& node(const char* type, const std::string& name, const Strings& inputs) {
    onnx::NodeProto& node = *out_.add_node();
    node.set_op_type(type);
    node.set_name(unique(name));
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output_.empty() ? node.name() : output_);
    return node;
  }

  std::string unique(const std::string& name) {
    std::string own = name;
    for (int i = 1; !taken_.insert(own).second; ++i) own = fmt::format("{}_{}", name, i);
    return own;
  }

  std::string weight(const std::string& name, const Tensor& tensor) {
    const Shape& shape = tensor.shape();
    Ints dims;
    for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
    return initializer(name, dims, tensor.as<float>());
  }

  std::string initializer(const std::string& name, const Ints& dims, const float* values) {
    onnx::TensorProto& tensor = *out_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    std::int64_t elements = 1;
    for (const std::int64_t d : dims) {
      tensor.add_dims(d);
      elements *= d;
    }
    tensor.set_raw_data(values, static_cast<std::size_t>(elements) * sizeof(float));
    return name;
  }

  // One that all its readers share.
  std::string scalar(const std::string& name, float value) {
    std::string& own = scalars_[name];
    if (own.empty()) own = initializer(unique(name), {}, &value);
    return own;
  }

  const Graph& graph_;
  const std::map<std::string, Tensor>& state_;
  onnx::GraphProto& out_;
  Strings values_;  // by op
  std::string owner_ = "input", output_;
  std::set<std::string> taken_{"input", "logits"};
  std::map<std::string, std::string> scalars_;
};

void add_metadata(onnx::ModelProto& model, const Architecture& arch, const OnnxOptions& options,
                  const std::optional<TrainedOn>& data) {
  std::map<std::string, std::string> properties{{"architecture", to_json(arch)}};
  properties["input"] = options.with_preprocessing
                            ? fmt::format("u8 (N, H, W, {0}) {1}, 0 to 255", arch.channels,
                                          arch.channels == 1 ? "grey" : "RGB")
                            : fmt::format("f32 (N, {0}, H, W) {1}, (pixel / 255 - mean) / std",
                                          arch.channels, arch.channels == 1 ? "grey" : "RGB");
  if (data) {
    const auto known = to_metadata(*data);
    properties["classes"] = known.at("classes");
    const nlohmann::json preprocess = nlohmann::json::parse(known.at("preprocess"));
    for (const auto& [key, value] : preprocess.items()) {
      properties[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
  for (const auto& [key, value] : properties) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
}

}  // namespace

void require_onnx() {}

OnnxFile to_onnx(const Model& model, const OnnxOptions& options,
                 const std::optional<TrainedOn>& data) {
  const Architecture& arch = model.arch();
  require_onnx_size(arch);
  if (data) require_fits(*data, arch);
  if (options.with_preprocessing && !data) {
    throw ConfigError(
        "preprocessing: expected a checkpoint that says how its images were prepared");
  }
  onnx::ModelProto file;
  file.set_ir_version(onnx_ir_version);
  file.set_producer_name(onnx_producer);
  file.set_producer_version(HAC_VERSION);
  onnx::OperatorSetIdProto& opset = *file.add_opset_import();
  opset.set_domain("");
  opset.set_version(onnx_opset);

  const Graph lowered = lower(arch), graph = options.unfolded ? lowered : fuse(lowered);
  const std::map<std::string, Tensor> state = model.state();
  onnx::GraphProto& out = *file.mutable_graph();
  out.set_name(arch.name);
  const std::int64_t c = arch.channels, r = arch.resolution;
  if (options.with_preprocessing) {
    declare(*out.add_input(), "input", onnx::TensorProto::UINT8, options.batch, {r, r, c});
  } else {
    declare(*out.add_input(), "input", onnx::TensorProto::FLOAT, options.batch, {c, r, r});
  }
  declare(*out.add_output(), "logits", onnx::TensorProto::FLOAT, options.batch, {arch.classes});
  GraphWriter writer(graph, state, out);
  std::string images = "input";
  if (options.with_preprocessing) {
    images = writer.normalise("input", InputTransform(data->preprocessing, r), c);
  }
  writer.write(images, "logits");
  add_metadata(file, arch, options, data);
  try {
    check_model(file);
  } catch (const std::exception& e) {
    throw Error(fmt::format("ONNX file of '{}': its check failed: {}", arch.name, e.what()));
  }
  OnnxFile result{.opset = onnx_opset, .nodes = out.node_size()};
  for (const onnx::NodeProto& node : out.node()) {
    result.batch_norms += node.op_type() == "BatchNormalization";
  }
  if (!file.SerializeToString(&result.bytes)) {
    throw Error(fmt::format("ONNX file of '{}': cannot be serialized", arch.name));
  }
  return result;
}

}  // namespace hac
