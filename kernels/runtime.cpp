#include "kernels/runtime.h"

#include <fmt/format.h>

#include <atomic>

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
