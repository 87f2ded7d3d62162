#pragma once
// What a training step asks of a GPU, counted from the network: the products that are cuDNN's and
// cuBLAS's, and the launches and bytes of own kernels. `tests/scaling/test_step_model.cpp` holds
// these counts to steps that were recorded (step_trace.h).

#include <cstdint>
#include <vector>

#include "models/arch/graph.h"

namespace hac {

struct KernelWork {
  std::int64_t launches = 0;
  double bytes = 0;  // read and written, each touched once a launch

  KernelWork& operator+=(const KernelWork& o) {
    launches += o.launches;
    bytes += o.bytes;
    return *this;
  }
};

struct StepWork {
  // Each one launch: a convolution with its pass, a product of a linear layer as the LinearSpec of
  // the same size. The network's input needs no gradient.
  std::vector<OpSpec> products;
  // Of own kernels: sums over a batch (statistics, gradients of scales and biases), passes over
  // activations and whatever else is none of these, the update of parameters.
  KernelWork sums, passes, updates;
  // Of own kernels that were as full as can be: an activation and a max pool cost no pass of their
  // own, nor do sums of gradients where paths meet. 0 for an evaluation.
  double fused_bytes = 0;

  double product_macs() const;  // multiply-accumulates
  KernelWork own() const;       // the three together
};

// SGD with momentum, one step on a batch of a set that lies on the device. Throws ShapeError for a
// batch below 1, ConfigError as validate() does.
StepWork step_work(const Architecture& arch, std::int64_t batch, Dtype dtype);
// A batch of an evaluation: forward and what is kept of its images, without gradients.
StepWork evaluation_work(const Architecture& arch, std::int64_t batch, Dtype dtype);

}  // namespace hac
