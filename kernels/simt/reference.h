#pragma once
// Reads and writes of the three float types for simt's reference loops.

#include <cstdint>

#include "kernels/error.h"
#include "kernels/half.h"
#include "kernels/simt/record.h"
#include "kernels/types.h"

namespace hac::simt {

template <class Run>
void by_float_type(Dtype dtype, Run run) {
  if (dtype == Dtype::f32) return run(float{});
  if (dtype == Dtype::bf16) return run(bf16{});
  if (dtype == Dtype::f16) return run(f16{});
  throw ConfigError("simt computes in f32, bf16 and f16, not " + std::string(name_of(dtype)));
}

// The same, recorded while this thread records: run must hold its arguments by value.
template <class Run>
void submit_by_float_type(Dtype dtype, Run run) {
  submit([=] { by_float_type(dtype, run); });
}

}  // namespace hac::simt
