#pragma once
// Work of the simulated device: run at once, or recorded. Recorded work is closures that hold their
// arguments, in order. Nothing runs while a thread records, so whatever leans on a host value that
// comes later, or on memory that moves, gives other numbers when it is replayed: the tests see it
// without a GPU.

#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/uploads.h"

namespace hac::simt {

using Calls = std::vector<std::function<void()>>;

struct RecordedCalls {
  Device device;
  Calls calls;
};
RecordedCalls& recorded_calls();  // of this thread

void require_device(Device device);  // DeviceError if it is lost (fail_launch_after, executor.h)
void begin_launch(Device device);    // counts one, and requires the device
// DeviceError unless it is the current device of this thread, and the one that is recorded if any.
void require_submittable(Device device);

// Runs the call, or records it while this thread records. It must hold its arguments by value.
template <class Call>
void submit(const Context& ctx, Call call) {
  const Device device = ctx.device();
  require_submittable(device);
  ctx.uploads().finish();
  auto work = [device, call = std::move(call)] {
    begin_launch(device);
    call();
  };
  if (capturing()) {
    recorded_calls().calls.push_back(std::move(work));
  } else {
    work();
  }
}

// Bytes that a call may touch.
struct Operand {
  const void* p;
  std::size_t bytes;
};

// The same where `operands` must lie in the device's memory as a whole, else a DeviceError naming
// `what`: copies, and loops that stand in for a vendor's kernel.
template <class Call>
void submit(const Context& ctx, const char* what, std::initializer_list<Operand> operands,
            Call call) {
  submit(ctx, [=, device = ctx.device(), all = std::vector<Operand>(operands)] {
    for (const Operand& o : all) require_memory(device, o.p, o.bytes, what);
    call();
  });
}

}  // namespace hac::simt
