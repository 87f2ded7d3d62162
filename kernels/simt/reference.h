#pragma once
// Reads and writes of the three float types for simt's reference loops.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/core/error.h"
#include "kernels/core/half.h"
#include "kernels/core/types.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/record.h"

namespace hac::simt {

template <class Run>
void by_float_type(Dtype dtype, Run run) {
  if (dtype == Dtype::f32) return run(float{});
  if (dtype == Dtype::bf16) return run(bf16{});
  if (dtype == Dtype::f16) return run(f16{});
  throw ConfigError("simt computes in f32, bf16 and f16, not " + std::string(name_of(dtype)));
}

// What a reference loop may touch.
struct Operand {
  const void* p;
  std::int64_t elements;
  Dtype dtype;
};

// Runs run(T{}), or records it while this thread records: it must hold its arguments by value.
// DeviceError naming `what` where an operand does not lie in the device's memory as a whole; a null
// one is none.
template <class Run>
void submit_reference(const Context& ctx, const char* what, Dtype dtype,
                      std::initializer_list<Operand> operands, Run run) {
  const std::vector<Operand> all(operands);
  submit(ctx, [=, device = ctx.device()] {
    for (const Operand& o : all) {
      if (o.p) require_memory(device, o.p, o.elements * size_of(o.dtype), what);
    }
    by_float_type(dtype, run);
  });
}

}  // namespace hac::simt
