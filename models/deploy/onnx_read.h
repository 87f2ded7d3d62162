#pragma once
// An ONNX file as a graph of our operations. For models/deploy/onnx_*.cpp alone.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/tensor/tensor.h"
#include "models/arch/graph.h"

namespace hac {

struct OnnxGraph {
  Graph graph;  // as recognize() takes it
  std::string name;
  std::vector<std::string> labels;  // "node 'layer1.0.conv1' (Conv)", an op
  // Of each op, by PyTorch's names: weight, bias, running_mean, running_var. Batch norms as of our
  // epsilon.
  std::vector<std::map<std::string, Tensor>> parameters;
  std::map<std::string, std::string> metadata;  // of a file that this program wrote
  std::int64_t other_epsilons = 0;              // batch norms whose gamma was changed for theirs
};

// From a file's bytes. resolution: height and width, of a file that leaves them open. Throws
// IoError for what is no ONNX file or fails its check, ConfigError naming the node, attribute or
// tensor that has no equal here.
OnnxGraph read_onnx(const std::string& bytes, std::optional<std::int64_t> resolution);

}  // namespace hac
