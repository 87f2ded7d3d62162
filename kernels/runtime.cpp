#include "kernels/runtime.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/context.h"
#include "kernels/error.h"

namespace hac {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

int one(std::string*) { return 1; }

void* allocate(Device, std::size_t bytes) {
  const bool huge = bytes >= 2 * huge_page;  // fewer page faults and TLB misses
  const std::size_t unit = huge ? huge_page : alignment;
  void* data = std::aligned_alloc(unit, round_up(bytes, unit));
  if (data && huge) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

void release(Device, void* p) { std::free(p); }

void copy(Context&, void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void zero(Context&, void* p, std::size_t bytes) {
  if (bytes > 0) std::memset(p, 0, bytes);
}

void synchronize(Context&) {}

using Clock = std::chrono::steady_clock;

thread_local bool recording = false;

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

Event host_event(Context&) {
  refuse_in_capture("event_record");
  return std::make_shared<Clock::time_point>(Clock::now());
}

double host_elapsed_ms(Context&, const Event& from, const Event& to) {
  const auto at = [](const Event& e) { return *static_cast<const Clock::time_point*>(e.get()); };
  return std::chrono::duration<double, std::milli>(at(to) - at(from)).count();
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

const Runtime runtime_cpu{.count = one,
                          .allocate = allocate,
                          .release = release,
                          .copy_in = copy,
                          .copy_out = copy,
                          .copy = copy,
                          .zero = zero,
                          .synchronize = synchronize,
                          .begin_capture = nullptr,
                          .end_capture = nullptr,
                          .replay = nullptr,
                          .event_record = host_event,
                          .elapsed_ms = host_elapsed_ms};

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
