#pragma once
// Random numbers in place of a convolution's operands, to measure plans with.

#include <memory>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/ops/conv2d.h"

namespace hac {

// `bytes` of the context's device, not kept for later; OutOfMemory where there are none left.
std::shared_ptr<void> allocate_to_measure(Context& ctx, std::size_t bytes);

// Between -1 and 1: products of zeros run faster than real ones.
class RandomOperands {
 public:
  RandomOperands(Context& ctx, const Conv2dSpec& spec);

  void *x, *w, *bias, *y;
  void* residual = nullptr;  // null where the spec adds none

 private:
  void* take(Dtype dtype, std::int64_t elements);

  Context& ctx_;
  std::vector<std::shared_ptr<void>> memory_;
};

}  // namespace hac
