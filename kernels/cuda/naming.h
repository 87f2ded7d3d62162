#pragma once
// Errors of the vendor's calls, with the spec that they were for.

#include <string>

#include "kernels/core/error.h"

namespace hac::cuda {

// f(), with the spec before what went wrong unless it stands there already.
template <class Spec, class F>
auto naming(const Spec& spec, F f) {
  const auto named = [&](const Error& e) {
    const std::string text = spec.str(), what = e.what();
    return what.starts_with(text) ? what : text + ": " + what;
  };
  try {
    return f();
  } catch (const OutOfMemory& e) {
    throw OutOfMemory(named(e));
  } catch (const DeviceError& e) {
    throw DeviceError(named(e));
  }
}

}  // namespace hac::cuda
