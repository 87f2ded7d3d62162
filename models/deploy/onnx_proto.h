#pragma once
// What reading and writing ONNX share. For models/deploy/onnx_*.cpp alone.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace hac {

inline constexpr std::int64_t onnx_opset = 17, onnx_ir_version = 8;  // the highest of libonnx 1.12
inline constexpr const char* onnx_producer = "hacscale";

// ONNX's own checker, then strict shape inference, which leaves the shape of every value in the
// model. Throws std::runtime_error with what they say.
void check_model(onnx::ModelProto& model);

// A file that passed them, one image of it where its batch is open. Throws as read_onnx() does.
onnx::ModelProto parse_model(const std::string& bytes, std::optional<std::int64_t> resolution);

}  // namespace hac
