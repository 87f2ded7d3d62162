#include "kernels/core/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/error.h"

namespace hac {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double idle_ms = 500;   // after which a device may have let its clock fall
constexpr double short_ms = 0.2;  // what is shorter is repeated within one recording

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

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

std::shared_ptr<void> allocate_unkept(Device device, std::size_t bytes) {
  const Runtime& runtime = runtime_of(device);
  void* p = runtime.allocate(device, bytes);
  if (!p) {
    memory_keeper().release_unused(device);
    p = runtime.allocate(device, bytes);
  }
  if (!p) return nullptr;
  return {p, [device, release = runtime.release](void* q) { release(device, q); }};
}

std::shared_ptr<void> allocate_pinned(Device device, std::size_t bytes) {
  const Runtime& runtime = runtime_of(device);
  std::shared_ptr<void> memory;
  if (!runtime.allocate_pinned) {
    memory = allocate_unkept(device, bytes);
  } else if (void* p = runtime.allocate_pinned(device, bytes)) {
    memory = {p, [device, release = runtime.release_pinned](void* q) { release(device, q); }};
  }
  if (!memory) {
    throw OutOfMemory(
        fmt::format("host memory for {}: expected {:.1f} MiB that the device can "
                    "read, the system has no more",
                    to_string(device), static_cast<double>(bytes) / (1 << 20)));
  }
  return memory;
}

void work_for(Context& ctx, double ms, const std::function<void()>& work) {
  const Clock::time_point begin = Clock::now();
  // Many before each wait, so that the device is not idle between them.
  for (int n = 1; milliseconds_since(begin) < ms; n *= 2) {
    for (int i = 0; i < n; ++i) work();
    ctx.runtime().synchronize(ctx);
  }
}

void warm_up(Context& ctx, const std::function<void()>& work) {
  thread_local std::map<Device, Clock::time_point> last;
  const auto it = last.find(ctx.device());
  if (it == last.end() || milliseconds_since(it->second) > idle_ms) {
    work_for(ctx, ctx.runtime().warm_up_ms, work);
  }
  last[ctx.device()] = Clock::now();
}

double event_ms(Context& ctx, int warm, int runs, const std::function<void()>& work) {
  const Runtime& runtime = ctx.runtime();
  for (int r = 0; r < warm; ++r) work();
  warm_up(ctx, work);
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

double recorded_ms(Context& ctx, int warm, int runs, const std::function<void()>& work) {
  const Runtime& runtime = ctx.runtime();
  if (!runtime.begin_capture) return event_ms(ctx, warm, runs, work);
  const double once = event_ms(ctx, 1, 1, work);
  const int repetitions = std::clamp(static_cast<int>(short_ms / std::max(once, 1e-6)), 1, 20);
  runtime.begin_capture(ctx);
  std::exception_ptr error;
  try {
    for (int r = 0; r < repetitions; ++r) work();
  } catch (...) {
    error = std::current_exception();
  }
  const Recording recording = runtime.end_capture(ctx);
  if (error) std::rethrow_exception(error);
  const auto replay = [&] { runtime.replay(ctx, recording); };
  return event_ms(ctx, warm, runs, replay) / repetitions;
}

const Runtime& runtime_of(Device device) {
  if (device.kind == DeviceKind::cpu) return runtime_cpu;
  if (device.kind == DeviceKind::simt && device.index < runtime_simt.count(nullptr)) {
    return runtime_simt;
  }
  if (device.kind == DeviceKind::simt) {
    throw DeviceError(fmt::format("device '{}': expected one of {} simulated devices from simt:0",
                                  to_string(device), runtime_simt.count(nullptr)));
  }
  std::string reason = "this build has no CUDA part (configure with -DHAC_CUDA=ON)";
  const int count = runtime_cuda.count ? runtime_cuda.count(&reason) : 0;
  if (device.index < count) return runtime_cuda;
  if (count > 0) reason = fmt::format("this machine has {} GPU(s), the first is cuda:0", count);
  throw DeviceError(fmt::format("device '{}': {} (hint: --device cpu)", to_string(device), reason));
}

}  // namespace hac
