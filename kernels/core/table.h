#pragma once
// Dispatch for every op: a table of function pointers per device. A null entry means the op is not
// available there; asking for it is a DeviceError that names op, device and spec.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/error.h"

namespace hac {

[[noreturn]] void throw_empty(const std::string& spec);
[[noreturn]] void throw_unavailable(const std::string& spec, Device device);
// The error that is handled, saying what was run and where.
[[noreturn]] void rethrow_naming(const std::string& spec, Device device, const DeviceError& error);

template <class Table>
struct Backends {
  const Table& cpu;
  const Table& cuda;
  const Table& simt;

  const Table& of(Device device) const {
    return device.kind == DeviceKind::cpu ? cpu : device.kind == DeviceKind::cuda ? cuda : simt;
  }

  // The entry for this device, conv2d_kernels.on(device, &Conv2dKernels::forward, spec). Throws
  // DeviceError where it is not available, ShapeError for a batch of no images, so that no kernel
  // has to divide by its size.
  template <class Entry, class Spec>
  Entry on(Device device, Entry Table::*entry, const Spec& spec) const {
    const Entry found = of(device).*entry;
    if (!found) throw_unavailable(spec.str(), device);
    if constexpr (requires { spec.available(); }) {
      if (!spec.available()) throw_unavailable(spec.str(), device);
    }
    if constexpr (requires { spec.n; }) {
      if (spec.n < 1) throw_empty(spec.str());
    }
    return found;
  }

  // Calls it in the context of this thread. A DeviceError from there names spec and device.
  template <class Entry, class Spec, class... Args>
  auto run(Entry Table::*entry, Device device, const Spec& spec, Args... args) const {
    const Entry found = on(device, entry, spec);
    try {
      return found(Context::current(device), spec, args...);
    } catch (const DeviceError& error) {
      rethrow_naming(spec.str(), device, error);
    }
  }
};

}  // namespace hac

// HAC_BACKENDS(SgdKernels, sgd) in an operation's header: sgd_cpu, sgd_cuda and sgd_simt are
// defined by the files of the backends, sgd_kernels chooses among them.
#define HAC_BACKENDS(Table, name)                          \
  extern const Table name##_cpu, name##_cuda, name##_simt; \
  inline constexpr Backends<Table> name##_kernels{name##_cpu, name##_cuda, name##_simt};
