#pragma once
// Networks as ONNX files (https://onnx.ai, operator set 17), for ONNX Runtime, TensorRT, OpenVINO
// and OpenCV, and from such files. By the schema, checker and shape inference of Debian's
// libonnx-dev; a build without it refuses.
//
//   input   `input` (N, C, H, W) f32, normalised: (pixel / 255 - mean) / std; with preprocessing
//           (N, H, W, C) u8, the pixels as decoders give them: RGB, or grey where C is 1
//   output  `logits` (N, classes) f32
// N is the dimension `batch` unless fixed. One node an operation, named as its layer
// ("layer1.0.conv2"); what belongs to a layer but has no parameters is behind it
// ("layer1.0.conv2/add"). Initializers have PyTorch's names. All weights are in the file, which
// protobuf bounds to 2 GiB.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"
#include "models/model.h"
#include "models/train/trained_on.h"

namespace hac {

inline constexpr int onnx_opset = 17;

// Throws DeviceError where this build has no libonnx.
void require_onnx();
// Throws ConfigError for a network of more weights than one file can hold.
void require_onnx_size(const Architecture& arch);

struct OnnxOptions {
  std::int64_t batch = 0;  // 0 = any
  bool unfolded = false;   // batch norms stay operations
  bool with_preprocessing = false;
};

struct OnnxFile {
  std::string bytes;
  std::int64_t nodes = 0, batch_norms = 0;
};

// The network in evaluation mode: without dropout, batch norms folded as in InferenceSession. The
// metadata of the file are those of a checkpoint, one property each (`classes` `mean` `std`
// `resolution` `crop_pct` `border` `interpolation` `channels` `data` in JSON, of `data` where it is
// known; `architecture`), and `input`, in words. The file has passed the checker and strict shape
// inference. Throws DeviceError without libonnx, ConfigError for a network of more than 2 GiB, with
// preprocessing where there is no `data`, and for data of another number of channels or classes.
OnnxFile to_onnx(const Model& model, const OnnxOptions& options,
                 const std::optional<TrainedOn>& data);

// Random images as the file takes them, a function of the seed, and our logits of them: `input` (as
// many images as it takes, 2 where any) and `logits`. To compare another runtime by.
TensorFile onnx_example(const Model& model, const OnnxOptions& options,
                        const std::optional<TrainedOn>& data, std::uint64_t seed = 0);

}  // namespace hac
