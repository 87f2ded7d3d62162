#pragma once
// A layer: named parameters and buffers, and how it maps inputs to its output.

#include <span>
#include <string>
#include <vector>

#include "engine/autograd/var.h"

namespace hac {

struct Parameter {
  std::string name;  // PyTorch's: "features.0.weight"
  Var var;
};

struct Buffer {
  std::string name;  // "features.1.running_mean"
  Tensor tensor;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual Var forward(std::span<const Var> inputs) = 0;

  std::vector<Parameter> parameters;
  std::vector<Buffer> buffers;
  bool training = true;
};

}  // namespace hac
