#pragma once
// Errors of the vendor's calls, with the spec that they were for.

#include <string>

#include "kernels/core/error.h"

namespace hac::cuda {

// f(), with the spec before what went wrong unless it stands there already.
template <class Spec, class F>
auto naming(const Spec& spec, F f) {
  try {
    return f();
  } catch (const DeviceError& e) {
    const std::string text = spec.str(), what = e.what();
    if (what.starts_with(text)) throw;
    rethrow_device_error(text + ": " + what);
  }
}

}  // namespace hac::cuda
