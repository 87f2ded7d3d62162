#pragma once
// The collectives of a group on tensors where its ranks compute: on a GPU by NCCL, in the order of
// a context's work, so that they may be recorded; elsewhere through the host's memory.

#include <memory>
#include <string>

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
  void exchange(Context& ctx, const Tensor& out, const Tensor& in);
  // out: (n); in: (size, n), every rank's `out` in their order.
  void collect(Context& ctx, const Tensor& out, const Tensor& in);
  // Whether both are work of the device, which may be recorded and overlap with other work.
  virtual bool on_device() const = 0;

 protected:
  // Of n numbers a row.
  virtual void exchange_rows(Context& ctx, const float* out, float* in, std::size_t n) = 0;
  virtual void collect_rows(Context& ctx, const float* out, float* in, std::size_t n) = 0;
};

// By NCCL on GPUs where all ranks have it, else through the host's memory. Every rank calls it, for
// the device on which it computes. The group outlives it. Throws DeviceError of NCCL.
std::unique_ptr<DeviceGroup> connect(Group& group, Device device);
std::unique_ptr<DeviceGroup> through_host(Group& group);

// What libhacscale_nccl.so exports as hacscale_open_nccl.
struct Nccl {
  int interface = 0;
  std::string (*make_id)() = nullptr;  // by one rank, for all
  // Called by all ranks, each for a GPU of its own, which is current.
  std::unique_ptr<DeviceGroup> (*join)(const std::string& id, int rank, int size) = nullptr;
};
using OpenNccl = Nccl (*)();
// Of this header; the library refuses another one.
inline constexpr int nccl_interface = 1;

}  // namespace hac
