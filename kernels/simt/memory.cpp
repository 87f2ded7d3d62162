#include "kernels/simt/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/error.h"
#include "kernels/simt/asan.h"
#include "kernels/simt/executor.h"

namespace hac::simt {
namespace {

constexpr std::size_t zone_bytes = 256;  // in front; behind: up to twice that
constexpr int zone_value = 0xFD, nan_value = 0xFF;

struct Registry {
  std::mutex mutex;
  std::map<std::uintptr_t, std::size_t> bytes_at;
  std::shared_ptr<const std::vector<Range>> ranges;  // null after a change
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

void* allocate(std::size_t bytes) {
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
    r.bytes_at.emplace(reinterpret_cast<std::uintptr_t>(p), bytes);
    r.ranges.reset();
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
    const auto it = r.bytes_at.find(reinterpret_cast<std::uintptr_t>(p));
    if (it == r.bytes_at.end()) {
      throw DeviceError(fmt::format("simt: expected a live allocation to release, got {}", p));
    }
    bytes = it->second;
    r.bytes_at.erase(it);
    r.ranges.reset();
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

std::shared_ptr<const std::vector<Range>> live_ranges() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  if (!r.ranges) {
    auto ranges = std::make_shared<std::vector<Range>>();
    ranges->reserve(r.bytes_at.size());
    for (const auto& [begin, bytes] : r.bytes_at) ranges->push_back({begin, begin + bytes});
    r.ranges = std::move(ranges);
  }
  return r.ranges;
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

}  // namespace hac::simt
