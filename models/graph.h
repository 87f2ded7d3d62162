#pragma once
// An Architecture lowered to primitive operations in order of execution, every shape known.
// Counting, building, deploying and timing all walk this one list.

#include <string>
#include <variant>
#include <vector>

#include "kernels/batchnorm.h"
#include "kernels/conv2d.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/pool2d.h"
#include "models/architecture.h"

namespace hac {

struct FlattenSpec {
  Shape shape;  // input
  auto operator<=>(const FlattenSpec&) const = default;
};
struct ReluSpec {
  Shape shape;
  auto operator<=>(const ReluSpec&) const = default;
};
struct AddSpec {
  Shape shape;
  auto operator<=>(const AddSpec&) const = default;
};

using OpSpec = std::variant<Conv2dSpec, BatchNormSpec, ReluSpec, AddSpec, Pool2dSpec, FlattenSpec,
                            DropoutSpec, LinearSpec>;

struct Op {
  std::string name;  // parameter prefix, "layer1.0.conv1"; "" without parameters
  OpSpec spec;
  std::vector<int> inputs;  // indices of earlier ops; -1 is the network's input. A BatchNormSpec
                            // with add takes (x, residual).
  int width_index = -1;     // which of widths(arch) this convolution's output is, -1 = none
  Shape out;
};

struct Graph {
  Shape input;  // (n, channels, resolution, resolution)
  std::vector<Op> ops;
};

// ReLUs are fused into the batch norm before them, and a residual add where an identity or
// projected shortcut meets a batch norm (post-activation blocks).
// Throws ConfigError as validate() does.
Graph lower(const Architecture& arch, std::int64_t batch = 1);

// How many operations read each value, by the index of the op that makes it.
std::vector<int> reader_counts(const Graph& graph);

Cost cost_of(const Op& op);
std::string describe(const Op& op);  // the spec's one-line text form
// The kind of an op as users name it: conv2d, batchnorm, relu, add, maxpool, avgpool, ...
std::string kind_of(const Op& op);

}  // namespace hac
