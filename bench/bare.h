#pragma once
// The floor of a benchmark: the vendor's primitives executed one after another with nothing around
// them: no packing, no tape, no planning, weights already in the format that the library wants.
// Where the vendor has no fast convolution, the product that stands in for it
// (conv2d_product_cpu.h).

#include <memory>

#include "kernels/ops/conv2d.h"
#include "kernels/ops/pool2d.h"

namespace hac::bench {

class BareChain {
 public:
  BareChain();
  ~BareChain();
  // spec.pass says which of the three passes; buffers hold small constants.
  void add(const Conv2dSpec& spec);
  void add(const Pool2dSpec& spec);  // inference
  // Every primitive once, in order. Sources and destinations take turns in two shared buffers, as
  // in a network; each primitive has weights of its own.
  void run();
  std::size_t size() const;
  // Primitive i alone.
  void run(std::size_t i);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hac::bench
