#pragma once
// The collectives of a group on tensors where its ranks compute: on a GPU by NCCL, in the order of
// a context's work, so that they may be recorded; elsewhere through the host's memory.

#include <memory>

#include "engine/parallel/group.h"
#include "engine/tensor/tensor.h"
#include "kernels/core/context.h"

namespace hac {

// Tensors are f32, without padding, on the context's device; every rank gives the same shapes.
class DeviceGroup {
 public:
  virtual ~DeviceGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Both (size, n): row k of `out` goes to rank k, row k of `in` came from it.
  virtual void exchange(Context& ctx, const Tensor& out, const Tensor& in) = 0;
  // out: (n); in: (size, n), every rank's `out` in their order.
  virtual void collect(Context& ctx, const Tensor& out, const Tensor& in) = 0;
  // Whether both may be part of a recording.
  virtual bool recordable() const = 0;
};

// The group outlives it. Through the host's memory wherever NCCL is not.
std::unique_ptr<DeviceGroup> through_host(Group& group);

}  // namespace hac
