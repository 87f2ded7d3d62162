#pragma once
// Dispatch for every op: a table of function pointers per device. A null entry means the op is not
// available there; asking for it is a DeviceError that names op, device and spec.

#include <string>

#include "kernels/context.h"

namespace hac {

[[noreturn]] void throw_unavailable(const std::string& spec, Device device);

template <class Table>
struct Backends {
  const Table& cpu;

  const Table& on(Device device, const std::string& spec) const {
    if (device.kind == DeviceKind::cpu) return cpu;
    throw_unavailable(spec, device);
  }
};

}  // namespace hac
