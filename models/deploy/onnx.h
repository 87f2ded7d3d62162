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
  std::int64_t opset = 0, nodes = 0, batch_norms = 0;
};

// The network in evaluation mode: without dropout, batch norms folded as in InferenceSession. The
// metadata of the file are those of a checkpoint, one property each (`classes` `mean` `std`
// `resolution` `crop_pct` `border` `interpolation` `channels` `data` in JSON, of `data` where it is
// known; `architecture`), and `input`, in words. The file has passed the checker and strict shape
// inference. Throws DeviceError without libonnx, ConfigError for a network of more than 2 GiB, with
// preprocessing where there is no `data`, and for data of another number of channels or classes.
OnnxFile to_onnx(const Model& model, const OnnxOptions& options,
                 const std::optional<TrainedOn>& data);

struct OnnxImport {
  Architecture arch;
  std::map<std::string, Tensor> state;  // as Model::load_state() takes it
  std::optional<TrainedOn> data;        // of a file that this program wrote
  std::vector<std::string> notes;       // what is not as in the file, a line each
};

// The network of a file: convolutions, batch norms, pools, linear layers and activations in a row,
// and the residual blocks of the Architecture (models/arch/recognize.h), in any program's form of
// operator sets 7 to 17, or to 22 where they use nothing that changed. A convolution in a block
// whose batch norm was folded into it gets one that does nothing but add its bias. Stages, dropout
// and folded batch norms elsewhere are those of a file that this program wrote; else stages are
// derived and there is nothing of the others. resolution: of a file that leaves height and width
// open. Throws DeviceError without libonnx, IoError for what is no ONNX file or fails its check,
// ConfigError naming the node, attribute or tensor that has no equal here.
OnnxImport from_onnx(const std::string& path, std::optional<std::int64_t> resolution = {});
// From memory; `name` is what errors call it.
OnnxImport parse_onnx(const std::string& bytes, const std::string& name,
                      std::optional<std::int64_t> resolution = {});

// Random images as the file takes them, a function of the seed, and our logits of them: `input` (as
// many images as it takes, 2 where any) and `logits`. To compare another runtime by.
TensorFile onnx_example(const Model& model, const OnnxOptions& options,
                        const std::optional<TrainedOn>& data, std::uint64_t seed = 0);

}  // namespace hac
