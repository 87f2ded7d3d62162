#include "kernels/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/context.h"
#include "kernels/error.h"

namespace hac {
namespace {

thread_local bool recording = false;
std::atomic<const MemoryKeeper*> keeper_of_memory = nullptr;

}  // namespace

bool capturing() { return recording; }

void set_capturing(bool on) { recording = on; }

void refuse_in_capture(const std::string& call) {
  if (!recording) return;
  throw DeviceError(
      fmt::format("capture: expected only work of the device, got {} (hint: do it before the "
                  "capture, or after the replay)",
                  call));
}

void set_memory_keeper(const MemoryKeeper* keeper) { keeper_of_memory = keeper; }

const MemoryKeeper& memory_keeper() {
  static const MemoryKeeper nobody;
  const MemoryKeeper* keeper = keeper_of_memory;
  return keeper ? *keeper : nobody;
}

double event_ms(Context& ctx, int warm, int runs, const std::function<void()>& work) {
  const Runtime& runtime = ctx.runtime();
  for (int r = 0; r < warm; ++r) work();
  std::vector<Event> events{runtime.event_record(ctx)};
  for (int r = 0; r < runs; ++r) {
    work();
    events.push_back(runtime.event_record(ctx));
  }
  std::vector<double> times;
  for (std::size_t r = 1; r < events.size(); ++r) {
    times.push_back(runtime.elapsed_ms(ctx, events[r - 1], events[r]));
  }
  const auto middle = times.begin() + runs / 2;
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

const Runtime& runtime_of(Device device) {
  if (device.kind == DeviceKind::cpu) return runtime_cpu;
  if (device.kind == DeviceKind::simt) return runtime_simt;
  std::string reason = "this build has no CUDA part (configure with -DHAC_CUDA=ON)";
  const int count = runtime_cuda.count ? runtime_cuda.count(&reason) : 0;
  if (device.index < count) return runtime_cuda;
  if (count > 0) reason = fmt::format("this machine has {} GPU(s), the first is cuda:0", count);
  throw DeviceError(fmt::format("device '{}': {} (hint: --device cpu)", to_string(device), reason));
}

}  // namespace hac
