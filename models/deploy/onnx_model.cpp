#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <algorithm>
#include <string_view>

#include "kernels/core/error.h"
#include "models/deploy/onnx_proto.h"

namespace hac {
namespace {

constexpr std::int64_t oldest_opset = 7, newest_opset = 22;

// Of later operator sets than the checker knows it takes what has not changed. Returns the file's.
std::int64_t require_opset(onnx::ModelProto& model) {
  std::int64_t opset = 0;
  for (onnx::OperatorSetIdProto& set : *model.mutable_opset_import()) {
    if (!set.domain().empty() && set.domain() != "ai.onnx") continue;
    if (set.version() < oldest_opset || set.version() > newest_opset) {
      throw ConfigError(
          fmt::format("opset {}: expected {} to {}", set.version(), oldest_opset, newest_opset));
    }
    opset = set.version();
    set.set_version(std::min<std::int64_t>(opset, onnx_opset));
  }
  model.set_ir_version(std::min<std::int64_t>(model.ir_version(), onnx_ir_version));
  return opset;
}

// Of an open batch one image; the shapes of all else are inferred from the input's.
void fix_input(onnx::GraphProto& graph, std::optional<std::int64_t> resolution) {
  graph.clear_value_info();
  for (onnx::ValueInfoProto& output : *graph.mutable_output()) {
    output.mutable_type()->mutable_tensor_type()->clear_shape();
  }
  for (onnx::ValueInfoProto& input : *graph.mutable_input()) {
    onnx::TensorShapeProto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
    if (shape.dim_size() != 4) continue;
    if (!shape.dim(0).has_dim_value()) shape.mutable_dim(0)->set_dim_value(1);
    for (const int i : {2, 3}) {
      if (resolution && !shape.dim(i).has_dim_value())
        shape.mutable_dim(i)->set_dim_value(*resolution);
    }
  }
}

void require_weights_inside(const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    if (tensor.data_location() != onnx::TensorProto::EXTERNAL) continue;
    throw ConfigError(fmt::format(
        "tensor '{}': expected all weights in the file, got some in another one (external data)",
        tensor.name()));
  }
}

// Strict shape inference goes on behind the first error, a line each.
std::string first_error(std::string message) {
  constexpr std::string_view heading = "[ShapeInferenceError] Shape inference error(s): ";
  constexpr std::size_t most = 300;
  if (message.starts_with(heading)) message.erase(0, heading.size());
  return message.substr(0, std::min(message.find('\n'), most));
}

void infer_shapes(onnx::ModelProto& model) {
  constexpr bool check_types = true, propagate_data = true;
  constexpr int strict = 1;
  onnx::shape_inference::InferShapes(
      model, onnx::OpSchemaRegistry::Instance(),
      onnx::ShapeInferenceOptions(check_types, strict, propagate_data));
}

}  // namespace

void check_model(onnx::ModelProto& model) {
  onnx::checker::check_model(model);
  infer_shapes(model);
}

onnx::ModelProto parse_model(const std::string& bytes, std::optional<std::int64_t> resolution) {
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes) || model.graph().node_size() == 0) {
    throw IoError("it is no ONNX file, or cut");
  }
  const std::int64_t opset = require_opset(model);
  require_weights_inside(model.graph());
  try {
    onnx::checker::check_model(model);
    fix_input(*model.mutable_graph(), resolution);
    infer_shapes(model);
  } catch (const std::exception& e) {
    const std::string failed = fmt::format("ONNX's check failed: {}", first_error(e.what()));
    throw IoError(opset > 17
                      ? with_hint(failed, fmt::format("an export by opset 17; this is {}", opset))
                      : failed);
  }
  return model;
}

}  // namespace hac
