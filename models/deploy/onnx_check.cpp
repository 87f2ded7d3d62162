#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include "models/deploy/onnx_proto.h"

namespace hac {

void check_model(onnx::ModelProto& model) {
  constexpr bool check_types = true, propagate_data = true;
  constexpr int strict = 1;
  onnx::checker::check_model(model);
  onnx::shape_inference::InferShapes(
      model, onnx::OpSchemaRegistry::Instance(),
      onnx::ShapeInferenceOptions(check_types, strict, propagate_data));
}

}  // namespace hac
