#pragma once
// An ONNX file to change by hand.

#include <onnx/onnx_pb.h>

#include <stdexcept>
#include <string>

#include "models/deploy/onnx.h"

namespace hac {

class OnnxFileToChange {
 public:
  explicit OnnxFileToChange(const std::string& bytes) {
    if (!model.ParseFromString(bytes)) throw std::logic_error("no ONNX file");
  }
  onnx::GraphProto& graph() { return *model.mutable_graph(); }
  onnx::NodeProto& node(const std::string& name) {
    for (onnx::NodeProto& n : *graph().mutable_node()) {
      if (n.name() == name) return n;
    }
    throw std::logic_error("no node " + name);
  }
  onnx::TensorProto& tensor(const std::string& name) {
    for (onnx::TensorProto& t : *graph().mutable_initializer()) {
      if (t.name() == name) return t;
    }
    throw std::logic_error("no tensor " + name);
  }
  onnx::AttributeProto& attribute(const std::string& node_name, const std::string& name) {
    onnx::NodeProto& n = node(node_name);
    for (onnx::AttributeProto& a : *n.mutable_attribute()) {
      if (a.name() == name) return a;
    }
    onnx::AttributeProto& a = *n.add_attribute();
    a.set_name(name);
    return a;
  }
  void set(const std::string& node_name, const std::string& name, std::int64_t value) {
    onnx::AttributeProto& a = attribute(node_name, name);
    a.set_type(onnx::AttributeProto::INT);
    a.set_i(value);
  }
  void set(const std::string& node_name, const std::string& name,
           const std::vector<std::int64_t>& values) {
    onnx::AttributeProto& a = attribute(node_name, name);
    a.set_type(onnx::AttributeProto::INTS);
    a.clear_ints();
    for (const std::int64_t v : values) a.add_ints(v);
  }
  onnx::TensorProto& add_integers(const std::string& name,
                                  const std::vector<std::int64_t>& values) {
    onnx::TensorProto& t = *graph().add_initializer();
    t.set_name(name);
    t.set_data_type(onnx::TensorProto::INT64);
    t.add_dims(static_cast<std::int64_t>(values.size()));
    for (const std::int64_t v : values) t.add_int64_data(v);
    return t;
  }
  std::string bytes() const { return model.SerializeAsString(); }
  OnnxImport parse() const { return parse_onnx(bytes(), "changed"); }

  onnx::ModelProto model;
};

}  // namespace hac
