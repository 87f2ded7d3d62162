// ONNX in a build without libonnx.

#include "kernels/core/error.h"
#include "models/deploy/onnx.h"

namespace hac {

void require_onnx() {
  throw DeviceError(
      "ONNX: this program was built without libonnx (hint: apt-get install libonnx-dev "
      "libprotobuf-dev, then configure and build again)");
}

OnnxFile to_onnx(const Model&, const OnnxOptions&, const std::optional<TrainedOn>&) {
  require_onnx();
  return {};
}

OnnxImport from_onnx(const std::string&, std::optional<std::int64_t>) {
  require_onnx();
  return {};
}

OnnxImport parse_onnx(const std::string&, const std::string&, std::optional<std::int64_t>) {
  require_onnx();
  return {};
}

}  // namespace hac
