#pragma once
// An Architecture lowered to primitive operations in order of execution, every shape known.
// Counting, building, deploying and timing all walk this one list.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/ops/batchnorm.h"
#include "kernels/ops/conv2d.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/gate.h"
#include "kernels/ops/linear.h"
#include "kernels/ops/pool2d.h"
#include "models/arch/architecture.h"

namespace hac {

using AnySpec = std::variant<Conv2dSpec, BatchNormSpec, ActivationSpec, AddSpec, Pool2dSpec,
                             FlattenSpec, DropoutSpec, LinearSpec, GateSpec>;

// An operation of any kind, with what all kinds have (kernels/core/spec.h).
class OpSpec : public AnySpec {
 public:
  using AnySpec::AnySpec;
  Dtype dtype() const;
  std::string kind() const;
  Shape in_shape() const;
  Shape out_shape() const;
  Cost cost() const;
  std::string str() const;
  Widths widths() const;
  OpSpec with(Widths widths) const;
};

// The spec whose text this is. Throws ConfigError if none has it.
OpSpec parse_spec(std::string_view text);

struct Op {
  std::string name;  // parameter prefix, "layer1.0.conv1"; "" without parameters
  OpSpec spec;
  std::vector<int> inputs;  // indices of earlier ops; -1 is the network's input. A spec with add
                            // takes (x, residual), a gate (x, g).
  int width_index = -1;     // which of widths(arch) this convolution's output is, -1 = none
  std::vector<Op> folded;  // in inference: batch norms in the weights of this convolution, in order

  Shape out() const { return spec.out_shape(); }
};

struct Graph {
  Shape input;  // (n, channels, resolution, resolution)
  std::vector<Op> ops;
};

// What a training step runs. Activations are fused into the batch norm before them, and a residual
// add where an identity or projected shortcut meets a batch norm (post-activation blocks).
// Throws ConfigError as validate() does.
Graph lower(const Architecture& arch, std::int64_t batch = 1, Dtype dtype = Dtype::f32);

// What inference runs, each operation one kernel call: batch norms folded into the convolution
// before them, adds and activations fused behind it, no dropout. A batch norm at the input of a
// pre-activation block has no convolution before it and stays.
Graph fuse(const Graph& graph);

// That in which every operation reads images as they are; where these differ, layout_of().
Layout input_layout(Device device, const Graph& graph);

// Convolutions that a GPU in 16 bits pads, or keeps off its tensor cores: their channels are no
// multiple of eight. Not those of images, which are padded anyway, nor grouped ones or of one
// pixel.
std::vector<const Op*> uneven_convolutions(const Graph& graph);

// How many operations read each value, by the index of the op that makes it.
std::vector<int> reader_counts(const Graph& graph);

// Whether op i is a batch norm whose value the max pool behind it, of 2x2 windows, alone reads: a
// training step may run the two as one (ops::batch_norm_max_pool).
bool pooled_alone(const Graph& graph, const std::vector<int>& readers, std::size_t i);

// Whether value i goes through a batch norm whatever way it takes: the gradient of a bias that was
// added to it is zero.
bool normalized(const Graph& graph, int i);

}  // namespace hac
