#pragma once
// Work of the simulated device: run at once, or recorded. Recorded work is closures that hold their
// arguments, in order. Nothing runs while a thread records, so whatever leans on a host value that
// comes later, or on memory that moves, gives other numbers when it is replayed: the tests see it
// without a GPU.

#include <functional>
#include <utility>
#include <vector>

#include "kernels/runtime.h"

namespace hac::simt {

using Calls = std::vector<std::function<void()>>;

Calls& recorded_calls();  // of this thread

void require_device();  // DeviceError if it is lost (fail_launch_after in executor.h)
void begin_launch();    // counts one, and requires the device

// Runs the call, or records it while this thread records. It must hold its arguments by value.
template <class Call>
void submit(Call call) {
  auto work = [call = std::move(call)] {
    begin_launch();
    call();
  };
  if (capturing()) {
    recorded_calls().push_back(std::move(work));
  } else {
    work();
  }
}

}  // namespace hac::simt
