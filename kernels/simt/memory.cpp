#include "kernels/simt/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/core/error.h"
#include "kernels/simt/asan.h"
#include "kernels/simt/executor.h"

namespace hac::simt {
namespace {

constexpr std::size_t zone_bytes = 256;  // in front; behind: up to twice that
constexpr int zone_value = 0xFD, nan_value = 0xFF;

struct Allocation {
  std::size_t bytes = 0;
  int device = 0;
};

struct Registry {
  std::mutex mutex;
  std::map<std::uintptr_t, Allocation> at;
  std::shared_ptr<const std::vector<Range>> ranges[device_count];  // null after a change
};

// Never destroyed: tensors of static life are released after it would be.
Registry& registry() {
  static Registry& instance = *new Registry;
  return instance;
}

std::size_t back_bytes(std::size_t bytes) {
  return zone_bytes + (zone_bytes - bytes % zone_bytes) % zone_bytes;
}

}  // namespace

void fill_zone(unsigned char* p, std::size_t bytes) { std::memset(p, zone_value, bytes); }

std::size_t find_damage(const unsigned char* p, std::size_t bytes) {
  return static_cast<std::size_t>(
      std::find_if(p, p + bytes, [](unsigned char v) { return v != zone_value; }) - p);
}

void* allocate(std::size_t bytes, int device) {
  if (bytes > PTRDIFF_MAX - 3 * zone_bytes) return nullptr;
  const std::size_t back = back_bytes(bytes);
  auto* base =
      static_cast<unsigned char*>(std::aligned_alloc(zone_bytes, zone_bytes + bytes + back));
  if (!base) return nullptr;
  unsigned char* p = base + zone_bytes;
  fill_zone(base, zone_bytes);
  std::memset(p, nan_value, bytes);
  fill_zone(p + bytes, back);
  {
    Registry& r = registry();
    const std::lock_guard lock(r.mutex);
    r.at.emplace(reinterpret_cast<std::uintptr_t>(p), Allocation{bytes, device});
    r.ranges[device].reset();
  }
  asan::poison(base, zone_bytes);
  asan::poison(p + bytes, back);
  return p;
}

void release(void* p) {
  if (!p) return;
  std::size_t bytes = 0;
  {
    Registry& r = registry();
    const std::lock_guard lock(r.mutex);
    const auto it = r.at.find(reinterpret_cast<std::uintptr_t>(p));
    if (it == r.at.end()) {
      throw DeviceError(fmt::format("simt: expected a live allocation to release, got {}", p));
    }
    bytes = it->second.bytes;
    r.ranges[it->second.device].reset();
    r.at.erase(it);
  }
  auto* const user = static_cast<unsigned char*>(p);
  unsigned char* const base = user - zone_bytes;
  const std::size_t back = back_bytes(bytes);
  asan::unpoison(base, zone_bytes + bytes + back);
  const std::size_t before = find_damage(base, zone_bytes);
  const std::size_t behind = find_damage(user + bytes, back);
  std::free(base);
  if (before == zone_bytes && behind == back) return;
  const std::string where = behind < back ? fmt::format("{} bytes behind its end", behind)
                                          : fmt::format("{} bytes before it", zone_bytes - before);
  throw DeviceError(fmt::format(
      "simt: expected the red zones of the allocation of {} bytes at {} untouched, got a write {}",
      bytes, p, where));
}

std::shared_ptr<const std::vector<Range>> live_ranges(int device) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  if (!r.ranges[device]) {
    auto ranges = std::make_shared<std::vector<Range>>();
    for (const auto& [begin, allocation] : r.at) {
      if (allocation.device == device) ranges->push_back({begin, begin + allocation.bytes});
    }
    r.ranges[device] = std::move(ranges);
  }
  return r.ranges[device];
}

const Range* find_range(const std::vector<Range>& ranges, std::uintptr_t p, std::size_t bytes) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), p,
                                      [](std::uintptr_t q, const Range& r) { return q < r.begin; });
  if (after == ranges.begin() || !std::prev(after)->holds(p, bytes)) return nullptr;
  return &*std::prev(after);
}

std::string describe_place(const std::vector<Range>& ranges, std::uintptr_t p) {
  const auto distance = [p](const Range& r) {
    return p < r.begin ? r.begin - p : p < r.end ? 0 : p - r.end;
  };
  const auto nearest =
      std::min_element(ranges.begin(), ranges.end(),
                       [&](const Range& a, const Range& b) { return distance(a) < distance(b); });
  if (nearest == ranges.end()) return "there is no allocation";
  const std::string range = fmt::format("the allocation of {} bytes at {:#x}",
                                        nearest->end - nearest->begin, nearest->begin);
  if (p < nearest->begin) return fmt::format("{} bytes before {}", nearest->begin - p, range);
  if (p < nearest->end)
    return fmt::format("{} bytes before the end of {}", nearest->end - p, range);
  return fmt::format("{} bytes behind the end of {}", p - nearest->end, range);
}

std::string describe_place(int device, std::uintptr_t p) {
  for (int other = 0; other < device_count; ++other) {
    const auto ranges = live_ranges(other);
    if (other == device || !find_range(*ranges, p, 1)) continue;
    return fmt::format("memory of {}, {}", to_string({DeviceKind::simt, other}),
                       describe_place(*ranges, p));
  }
  return describe_place(*live_ranges(device), p);
}

void require_memory(Device device, const void* p, std::size_t bytes, const char* what) {
  if (bytes == 0) return;
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  if (find_range(*live_ranges(device.index), at, bytes)) return;
  throw DeviceError(fmt::format("{}: expected {} bytes in an allocation of {}, got {:#x}, {}", what,
                                bytes, to_string(device), at, describe_place(device.index, at)));
}

}  // namespace hac::simt
