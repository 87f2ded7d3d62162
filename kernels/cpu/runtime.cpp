// The CPU as a device, and what simt shares with it.

#include "kernels/core/runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "kernels/core/isa.h"
#include "kernels/core/machine.h"
#include "kernels/cpu/control_group.h"
#include "kernels/cpu/host.h"
#include "kernels/cpu/library.h"

namespace hac {
namespace {

using cpu::number_in;

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

using Clock = std::chrono::steady_clock;

// A control group kills who takes more than it has, and does so when the memory is first touched.
// So a block has to fit beside a reserve for what is no tensor, and is touched at once. Small ones
// are not worth the look.
bool in_control_group(std::size_t bytes) { return limits().memory_bytes && bytes >= 1 << 20; }

bool fits_control_group(std::size_t bytes) {
  const std::size_t reserve = std::min(std::size_t{64} << 20, *limits().memory_bytes / 8);
  return bytes + reserve <= host::memory({}).free;
}

void touch(void* data, std::size_t bytes) {
  constexpr std::size_t page = 4096;
  for (std::size_t at = 0; at < bytes; at += page) static_cast<char*>(data)[at] = 0;
}

void* allocate(Device, std::size_t bytes) {
  if (in_control_group(bytes) && !fits_control_group(bytes)) return nullptr;
  const bool huge = bytes >= 2 * huge_page;  // fewer page faults and TLB misses
  const std::size_t unit = huge ? huge_page : alignment;
  void* data = std::aligned_alloc(unit, round_up(bytes, unit));
  if (data && huge) madvise(data, bytes, MADV_HUGEPAGE);
  if (data && in_control_group(bytes)) touch(data, bytes);
  return data;
}

void release(Device, void* p) { std::free(p); }

void copy(Context&, void* to, const void* from, std::size_t bytes) { host::copy(to, from, bytes); }

void zero(Context&, void* p, std::size_t bytes) { host::zero(p, bytes); }

void synchronize(Context&) {}

// By a control group, whose `used` holds caches that would make way: `fields` of its statistics.
void tighten(DeviceMemory& m, std::size_t physical, const std::string& folder, const char* maximum,
             const char* current, std::initializer_list<const char*> fields) {
  const auto limit = number_in(folder + maximum), used = number_in(folder + current);
  if (!limit || !used || *limit >= physical) return;
  std::size_t cached = 0;
  for (const char* field : fields) {
    cached += number_in(folder + "/memory.stat", field).value_or(0);
  }
  const std::size_t kept = *used - std::min(*used, cached);
  m.total = std::min(m.total, *limit);
  m.free = std::min(m.free, *limit - std::min(*limit, kept));
}

std::shared_ptr<void> open(Device) {
  cpu::require_isa();
  return std::make_shared<cpu::Library>();
}

}  // namespace

namespace host {

DeviceMemory memory_in(const std::string& root) {
  const std::string file = root + "/proc/meminfo";
  DeviceMemory m{.free = 1024 * number_in(file, "MemAvailable:").value_or(0),
                 .total = 1024 * number_in(file, "MemTotal:").value_or(0)};
  const std::size_t physical = m.total;
  for (const std::string& folder : cpu::control_groups(root, "memory")) {
    tighten(m, physical, folder, "/memory.max", "/memory.current",
            {"inactive_file", "active_file", "slab_reclaimable"});
    tighten(m, physical, folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes",
            {"total_inactive_file", "total_active_file"});
  }
  return m;
}

DeviceMemory memory(Device) {
  try {
    return memory_in("");
  } catch (...) {  // none left even for this
    return {};
  }
}

void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void zero(void* p, std::size_t bytes) {
  if (bytes > 0) std::memset(p, 0, bytes);
}

Event event_record(Context&) {
  refuse_in_capture("event_record");
  return std::make_shared<Clock::time_point>(Clock::now());
}

double elapsed_ms(Context&, const Event& from, const Event& to) {
  const auto at = [](const Event& e) { return *static_cast<const Clock::time_point*>(e.get()); };
  return std::chrono::duration<double, std::milli>(at(to) - at(from)).count();
}

}  // namespace host

const Runtime runtime_cpu{.count = [](std::string*) { return 1; },
                          .open = open,
                          .make_current = [](Device) {},
                          .allocate = allocate,
                          .release = release,
                          .memory = host::memory,
                          .bus_id = [](Device) { return std::string(); },
                          .name = to_string,
                          .copy_in = copy,
                          .copy_out = copy,
                          .copy = copy,
                          .zero = zero,
                          .synchronize = synchronize,
                          .event_record = host::event_record,
                          .elapsed_ms = host::elapsed_ms};

}  // namespace hac
