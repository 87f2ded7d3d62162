// The CPU as a device, and what simt shares with it.

#include "kernels/runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include "kernels/cpu/host.h"

namespace hac {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

using Clock = std::chrono::steady_clock;

void* allocate(Device, std::size_t bytes) {
  const bool huge = bytes >= 2 * huge_page;  // fewer page faults and TLB misses
  const std::size_t unit = huge ? huge_page : alignment;
  void* data = std::aligned_alloc(unit, round_up(bytes, unit));
  if (data && huge) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

void release(Device, void* p) { std::free(p); }

void copy(Context&, void* to, const void* from, std::size_t bytes) { host::copy(to, from, bytes); }

void zero(Context&, void* p, std::size_t bytes) { host::zero(p, bytes); }

void synchronize(Context&) {}

// The first number of the file, or the one behind `field` at the beginning of a line; none where
// there is no such file or the word "max" stands there.
std::optional<std::size_t> number_in(const std::string& path, const std::string& field = "") {
  std::ifstream in(path);
  std::string line, word;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    if (!field.empty() && (!(words >> word) || word != field)) continue;
    std::size_t value = 0;
    if (words >> value) return value;
    if (field.empty()) return {};
  }
  return {};
}

// The folder of this process in the one hierarchy of version 2, or of memory in version 1.
std::string group_folder(const std::string& root) {
  std::ifstream in(root + "/proc/self/cgroup");
  std::string line, folder;
  while (std::getline(in, line)) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers == "memory") return root + "/sys/fs/cgroup/memory" + line.substr(second + 1);
    if (controllers.empty()) folder = root + "/sys/fs/cgroup" + line.substr(second + 1);
  }
  return folder;
}

// By a control group, whose `used` holds cached files that would make way.
void tighten(DeviceMemory& m, std::optional<std::size_t> limit, std::optional<std::size_t> used,
             std::optional<std::size_t> cached) {
  if (!limit || !used || *limit >= m.total) return;
  const std::size_t kept = *used - std::min(*used, cached.value_or(0));
  m.total = *limit;
  m.free = std::min(m.free, *limit - std::min(*limit, kept));
}

}  // namespace

namespace host {

int count(std::string*) { return 1; }

DeviceMemory memory_in(const std::string& root) {
  const std::string file = root + "/proc/meminfo";
  DeviceMemory m{.free = 1024 * number_in(file, "MemAvailable:").value_or(0),
                 .total = 1024 * number_in(file, "MemTotal:").value_or(0)};
  // A container sees its own group as the top one, whatever the process is told it is called.
  for (const std::string& folder :
       {group_folder(root), root + "/sys/fs/cgroup", root + "/sys/fs/cgroup/memory"}) {
    const std::string statistics = folder + "/memory.stat";
    tighten(m, number_in(folder + "/memory.max"), number_in(folder + "/memory.current"),
            number_in(statistics, "inactive_file"));
    tighten(m, number_in(folder + "/memory.limit_in_bytes"),
            number_in(folder + "/memory.usage_in_bytes"),
            number_in(statistics, "total_inactive_file"));
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

std::string bus_id(Device) { return ""; }

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

const Runtime runtime_cpu{.count = host::count,
                          .make_current = [](Device) {},
                          .allocate = allocate,
                          .release = release,
                          .memory = host::memory,
                          .bus_id = host::bus_id,
                          .name = to_string,
                          .copy_in = copy,
                          .copy_out = copy,
                          .copy = copy,
                          .zero = zero,
                          .synchronize = synchronize,
                          .begin_capture = nullptr,
                          .end_capture = nullptr,
                          .replay = nullptr,
                          .event_record = host::event_record,
                          .elapsed_ms = host::elapsed_ms};

}  // namespace hac
