#pragma once
// A node of an ONNX file, its attributes and constant inputs. For models/deploy/onnx_*.cpp alone.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/tensor/tensor.h"
#include "models/arch/graph.h"

namespace hac {

using Dims = std::vector<std::int64_t>;

// The types of all values of a graph by name, as shape inference left them.
class OnnxTypes {
 public:
  void add(const onnx::ValueInfoProto& value) { types_[value.name()] = &value.type(); }
  bool integers(const std::string& value) const;
  // Throws ConfigError, ending in the hint, for a shape that is not known or left open.
  Dims dims(const std::string& value, const char* hint = "") const;

 private:
  std::map<std::string, const onnx::TypeProto*> types_;
};

struct Window {
  std::int64_t stride = 1, pad = 0;
};

class OnnxNode {
 public:
  using Constants = std::map<std::string, const onnx::TensorProto*>;
  OnnxNode(const onnx::NodeProto& node, const Constants& constants)
      : node_(node), constants_(constants) {}

  const std::string& type() const { return node_.op_type(); }
  std::string label() const;  // "node 'conv1' (Conv)"
  // Throws ConfigError: "<label>: expected ...".
  [[noreturn]] void no(const std::string& expected) const;

  int inputs() const { return node_.input_size(); }
  bool has(int i) const { return i < node_.input_size() && !node_.input(i).empty(); }
  const std::string& input(int i) const;
  const std::string& output() const { return node_.output(0); }
  bool constant(int i) const { return has(i) && constants_.contains(input(i)); }

  // Attributes, or `otherwise` where there is none.
  std::int64_t integer(const char* name, std::int64_t otherwise) const;
  float real(const char* name, float otherwise) const;
  std::string text(const char* name, const char* otherwise) const;
  Dims integers(const char* name, Dims otherwise) const;
  void require(const char* name, std::int64_t value) const;  // of an attribute, absent or not

  // Strides and padding in either direction, of a window and the dimensions of input and output.
  // Throws ConfigError where they differ by direction, and for dilations.
  Window window(const Dims& kernel, const Dims& in, const Dims& out) const;

  // A constant input. Throws ConfigError where it is computed, of another type or has a hole.
  Tensor tensor(int i) const;
  Dims integers(int i) const;
  float scalar(int i, float otherwise) const;

  onnx::TensorProto transposed_constant() const;  // of a matrix, its first input

  // PyTorch's prefix of its parameters: from the name of its weight, "conv1.weight", else from the
  // scope in its own, "/layer1/layer1.0/conv1/Conv"; "" if neither tells.
  std::string module() const;

 private:
  const onnx::AttributeProto* attribute(const char* name) const;
  const onnx::TensorProto& constant_tensor(int i) const;

  const onnx::NodeProto& node_;
  const Constants& constants_;
};

Tensor transpose(const Tensor& matrix);

// Of a convolution's, batch norm's or linear layer's "weight", "bias", ...
Shape parameter_shape(const OpSpec& spec, const std::string& name);

}  // namespace hac
