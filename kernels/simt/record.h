#pragma once
// Work of the simulated device: run at once, or recorded (recording.h).

#include <functional>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/simt/executor.h"
#include "kernels/simt/recording.h"
#include "kernels/simt/uploads.h"

namespace hac::simt {

std::optional<RecordedWork>& recorded_work();  // of this thread; nothing while it does not record

void require_device(Device device);  // DeviceError if it is lost (fail_launch_after, executor.h)
void begin_launch(Device device);    // counts one, and requires the device
// Runs the call, or records it while this thread records. It must hold its arguments by value.
template <class Call>
void submit(const Context& ctx, Call call) {
  const Device device = ctx.device();
  require_current(device, "work");
  ctx.uploads().finish();
  auto work = [device, call = std::move(call)] {
    begin_launch(device);
    call();
  };
  if (capturing()) {
    recorded_work()->add(ctx, std::move(work));
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
