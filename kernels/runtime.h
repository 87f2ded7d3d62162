#pragma once
// What a device gives besides kernels: memory, copies and order. One table a kind of device;
// Context, Storage and Tensor are built on it.

#include <cstddef>
#include <string>

#include "kernels/types.h"

namespace hac {

class Context;

struct Runtime {
  // Devices of this kind on this machine; why there are none goes to `reason`, if given.
  int (*count)(std::string* reason);
  // At least 64-byte aligned; null when there is no more. Contents undefined.
  void* (*allocate)(Device, std::size_t bytes);
  void (*release)(Device, void* p);
  // Ordered behind what this context was given before. A copy from or to host memory has read or
  // written it on return; `from` and `to` are on the context's device unless named host.
  void (*copy_in)(Context&, void* to, const void* host, std::size_t bytes);
  void (*copy_out)(Context&, void* host, const void* from, std::size_t bytes);
  void (*copy)(Context&, void* to, const void* from, std::size_t bytes);
  void (*zero)(Context&, void* p, std::size_t bytes);
  void (*synchronize)(Context&);
};

extern const Runtime runtime_cpu, runtime_cuda, runtime_simt;

// Throws DeviceError when this machine (or this build) does not have the device.
const Runtime& runtime_of(Device device);

}  // namespace hac
