#pragma once
// What the executor asks of the allocations (executor.h has allocate and release).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hac::simt {

// The bytes [begin, end) of an allocation.
struct Range {
  std::uintptr_t begin = 0, end = 0;
  bool holds(std::uintptr_t p, std::size_t bytes) const {
    return p >= begin && p < end && bytes <= end - p;
  }
};

// All of a device that live now, sorted; stays as it is when others come and go.
std::shared_ptr<const std::vector<Range>> live_ranges(int device = 0);

// Null if none holds all of [p, p + bytes).
const Range* find_range(const std::vector<Range>& ranges, std::uintptr_t p, std::size_t bytes);

// "4 bytes behind the end of the allocation of 256 bytes at 0x...", of the nearest.
std::string describe_place(const std::vector<Range>& ranges, std::uintptr_t p);
// The same, after "memory of simt:1, " where p lies in memory of another device than this one.
std::string describe_place(int device, std::uintptr_t p);

// Red zones: bytes that no code should write.
void fill_zone(unsigned char* p, std::size_t bytes);
// Index of the first byte that was written, or bytes.
std::size_t find_damage(const unsigned char* p, std::size_t bytes);

}  // namespace hac::simt
