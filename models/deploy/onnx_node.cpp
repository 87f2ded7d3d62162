#include "models/deploy/onnx_node.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "kernels/core/error.h"

namespace hac {
namespace {

bool is_module_name(const std::string& name) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), allowed);
}

// "layer1.0.conv1" of PyTorch's scope "/layer1/layer1.0/conv1": a part that begins with the one
// before and a dot is that one's child in full.
std::string module_of_scope(const std::string& scope) {
  std::string module, last;
  for (std::size_t at = 0; at < scope.size();) {
    const std::size_t end = std::min(scope.find('/', at), scope.size());
    const std::string part = scope.substr(at, end - at);
    at = end + 1;
    if (part.empty()) continue;
    if (!last.empty() && part.starts_with(last + ".")) {
      module += part.substr(last.size());
    } else {
      module += (module.empty() ? "" : ".") + part;
    }
    last = part;
  }
  return module;
}

// The values of a tensor of type T, which may be in either of two places.
template <class T, class Typed>
bool read_values(const onnx::TensorProto& tensor, const Typed& typed, std::size_t count, T* out) {
  if (tensor.has_raw_data()) {
    if (tensor.raw_data().size() != count * sizeof(T)) return false;
    if (count > 0) std::memcpy(out, tensor.raw_data().data(), count * sizeof(T));
    return true;
  }
  if (static_cast<std::size_t>(typed.size()) != count) return false;
  std::copy(typed.begin(), typed.end(), out);
  return true;
}

}  // namespace

bool OnnxTypes::integers(const std::string& value) const {
  const auto it = types_.find(value);
  return it != types_.end() && it->second->tensor_type().elem_type() == onnx::TensorProto::INT64;
}

Dims OnnxTypes::dims(const std::string& value, const char* hint) const {
  const auto it = types_.find(value);
  if (it == types_.end() || !it->second->tensor_type().has_shape()) {
    throw ConfigError(fmt::format("value '{}': expected a known shape, got none", value));
  }
  Dims dims;
  for (const auto& d : it->second->tensor_type().shape().dim()) {
    constexpr std::int64_t most = std::int64_t{1} << 31;
    if (!d.has_dim_value() || d.dim_value() < 1 || d.dim_value() > most) {
      throw ConfigError(
          fmt::format("value '{}': expected fixed dimensions but for the batch, got '{}'{}", value,
                      d.has_dim_value()   ? std::to_string(d.dim_value())
                      : d.has_dim_param() ? d.dim_param()
                                          : "?",
                      hint));
    }
    dims.push_back(d.dim_value());
  }
  return dims;
}

std::string OnnxNode::label() const {
  return fmt::format("node '{}' ({})", node_.name().empty() ? output() : node_.name(), type());
}

void OnnxNode::no(const std::string& expected) const {
  throw ConfigError(fmt::format("{}: expected {}", label(), expected));
}

const std::string& OnnxNode::input(int i) const {
  if (i >= inputs()) no(fmt::format("{} inputs, got {}", i + 1, inputs()));
  return node_.input(i);
}

const onnx::AttributeProto* OnnxNode::attribute(const char* name) const {
  for (const onnx::AttributeProto& a : node_.attribute()) {
    if (a.name() == name) return &a;
  }
  return nullptr;
}

std::int64_t OnnxNode::integer(const char* name, std::int64_t otherwise) const {
  const onnx::AttributeProto* a = attribute(name);
  return a ? a->i() : otherwise;
}
float OnnxNode::real(const char* name, float otherwise) const {
  const onnx::AttributeProto* a = attribute(name);
  return a ? a->f() : otherwise;
}
std::string OnnxNode::text(const char* name, const char* otherwise) const {
  const onnx::AttributeProto* a = attribute(name);
  return a ? a->s() : otherwise;
}
Dims OnnxNode::integers(const char* name, Dims otherwise) const {
  const onnx::AttributeProto* a = attribute(name);
  return a ? Dims(a->ints().begin(), a->ints().end()) : otherwise;
}
void OnnxNode::require(const char* name, std::int64_t value) const {
  const std::int64_t got = integer(name, value);
  if (got != value) no(fmt::format("{} {}, got {}", name, value, got));
}

Window OnnxNode::window(const Dims& kernel, const Dims& in, const Dims& out) const {
  constexpr std::int64_t most = 256;
  const auto same = [&](const std::string& name, const Dims& values, std::size_t count,
                        std::int64_t least) {
    const std::int64_t first = values.empty() ? -1 : values[0];
    const bool equal = values.size() == count &&
                       std::count(values.begin(), values.end(), first) == std::ssize(values);
    if (equal && first >= least && first <= most) return first;
    no(fmt::format("{} that are all the same, from {} to {}, got [{}]", name, least, most,
                   fmt::join(values, ", ")));
  };
  same("sides of the kernel", kernel, 2, 1);
  if (same("dilations", integers("dilations", {1, 1}), 2, 1) != 1) no("dilations [1, 1]");
  Window window{.stride = same("strides", integers("strides", {1, 1}), 2, 1)};
  const std::string automatic = text("auto_pad", "NOTSET");
  Dims pads = integers("pads", {0, 0, 0, 0});
  if (automatic == "VALID") pads = {0, 0, 0, 0};
  if (automatic.starts_with("SAME")) {
    pads.clear();
    for (const int i : {0, 1}) {
      const std::int64_t total =
          std::max<std::int64_t>(0, (out[i + 2] - 1) * window.stride + kernel[i] - in[i + 2]);
      pads.insert(pads.end(), {total / 2, total - total / 2});
    }
  }
  window.pad =
      same(automatic.starts_with("SAME") ? "pads by auto_pad " + automatic : "pads", pads, 4, 0);
  return window;
}

const onnx::TensorProto& OnnxNode::constant_tensor(int i) const {
  const auto it = constants_.find(input(i));
  if (it == constants_.end()) {
    no(fmt::format("its input '{}' in the file, got none or a computed one", input(i)));
  }
  return *it->second;
}

Tensor OnnxNode::tensor(int i) const {
  const onnx::TensorProto& from = constant_tensor(i);
  const std::string what = fmt::format("its tensor '{}'", input(i));
  if (from.data_type() != onnx::TensorProto::FLOAT) {
    no(fmt::format("{} as FLOAT, got {}", what,
                   onnx::TensorProto::DataType_Name(
                       static_cast<onnx::TensorProto::DataType>(from.data_type()))));
  }
  constexpr std::int64_t most = std::int64_t{1} << 31;
  if (from.dims_size() > 4)
    no(fmt::format("{} with at most 4 dimensions, got {}", what, from.dims_size()));
  std::int64_t count = 1;
  for (const std::int64_t d : from.dims()) {
    if (d < 1 || d > most / count)
      no(fmt::format("{} of at most 2 GiB, got dimensions {}", what, fmt::join(from.dims(), "x")));
    count *= d;
  }
  const std::size_t have = from.has_raw_data() ? from.raw_data().size() / sizeof(float)
                                               : static_cast<std::size_t>(from.float_data_size());
  if (have != static_cast<std::size_t>(count)) {
    no(fmt::format("{} of {} numbers, got {}", what, count, have));
  }
  const Tensor tensor = Tensor::empty(shape_of(Dims(from.dims().begin(), from.dims().end())));
  if (!read_values(from, from.float_data(), static_cast<std::size_t>(count), tensor.as<float>())) {
    no(fmt::format("{} of {} numbers, got another size", what, count));
  }
  return tensor;
}

Dims OnnxNode::integers(int i) const {
  const onnx::TensorProto& from = constant_tensor(i);
  const std::string what = fmt::format("its tensor '{}'", input(i));
  if (from.data_type() != onnx::TensorProto::INT64 || from.dims_size() > 1)
    no(what + " as a list of INT64");
  const std::int64_t count = from.dims_size() == 0 ? 1 : from.dims(0);
  constexpr std::int64_t most = 64;
  if (count < 0 || count > most)
    no(fmt::format("{} of at most {} numbers, got {}", what, most, count));
  Dims values(static_cast<std::size_t>(count));
  if (!read_values(from, from.int64_data(), values.size(), values.data())) {
    no(fmt::format("{} of {} numbers, got another size", what, count));
  }
  return values;
}

float OnnxNode::scalar(int i, float otherwise) const {
  if (!has(i)) return otherwise;
  const Tensor value = tensor(i);
  if (value.numel() != 1) no(fmt::format("one number in '{}', got {}", input(i), value.numel()));
  return *value.as<float>();
}

onnx::TensorProto OnnxNode::transposed_constant() const {
  const Tensor from = tensor(0);
  if (from.shape().rank() != 2) no("a matrix, got " + from.shape().str());
  if (integers("perm", {1, 0}) != Dims{1, 0}) no("perm [1, 0]");
  const Tensor to = transpose(from);
  onnx::TensorProto proto;
  proto.set_data_type(onnx::TensorProto::FLOAT);
  proto.add_dims(to.shape()[0]);
  proto.add_dims(to.shape()[1]);
  proto.set_raw_data(to.data(), static_cast<std::size_t>(to.numel()) * sizeof(float));
  return proto;
}

Shape parameter_shape(const OpSpec& spec, const std::string& name) {
  if (const auto* conv = std::get_if<Conv2dSpec>(&spec)) {
    return name == "weight" ? conv->weight_shape() : Shape{conv->k};
  }
  if (const auto* linear = std::get_if<LinearSpec>(&spec)) {
    return name == "weight" ? linear->weight_shape() : Shape{linear->out};
  }
  return {std::get<BatchNormSpec>(spec).c};
}

Tensor transpose(const Tensor& matrix) {
  const std::int64_t rows = matrix.shape()[0], columns = matrix.shape()[1];
  const Tensor turned = Tensor::empty({columns, rows});
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    turned.as<float>()[i % columns * rows + i / columns] = matrix.as<float>()[i];
  }
  return turned;
}

std::string OnnxNode::module() const {
  constexpr std::string_view weight = ".weight";
  for (int i = 1; i < inputs(); ++i) {
    if (!input(i).ends_with(weight)) continue;
    const std::string name = input(i).substr(0, input(i).size() - weight.size());
    if (is_module_name(name)) return name;
  }
  const std::string& own = node_.name();
  const std::size_t slash = own.rfind('/');
  const bool scoped = slash != std::string::npos && own.substr(slash + 1).starts_with(type());
  const std::string name = scoped ? module_of_scope(own.substr(0, slash)) : "";
  return is_module_name(name) ? name : "";
}

}  // namespace hac
