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
  const Table& cuda;
  const Table& simt;

  const Table& of(Device device) const {
    return device.kind == DeviceKind::cpu ? cpu : device.kind == DeviceKind::cuda ? cuda : simt;
  }

  // The entry for this device, conv2d_kernels.on(device, &Conv2dKernels::forward, spec).
  template <class Entry, class Spec>
  Entry on(Device device, Entry Table::*entry, const Spec& spec) const {
    const Entry found = of(device).*entry;
    if (!found) throw_unavailable(spec.str(), device);
    return found;
  }

  // Calls it in the context of this thread.
  template <class Entry, class Spec, class... Args>
  auto run(Entry Table::*entry, Device device, const Spec& spec, Args... args) const {
    return on(device, entry, spec)(Context::current(device), spec, args...);
  }
};

}  // namespace hac
