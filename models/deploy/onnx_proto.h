#pragma once
// What reading and writing ONNX share. For models/deploy/onnx_*.cpp alone.

#include <onnx/onnx_pb.h>

#include <stdexcept>
#include <string>

namespace hac {

// ONNX's own checker, then strict shape inference, which leaves the shape of every value in the
// model. Throws std::runtime_error with what they say.
void check_model(onnx::ModelProto& model);

}  // namespace hac
