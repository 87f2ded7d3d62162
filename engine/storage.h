#pragma once
// Counted, cached, limitable memory. Freed blocks are kept for the next request of their size, so
// that a training step allocates nothing from the system after the first one.

#include <cstddef>
#include <memory>

#include "kernels/types.h"

namespace hac {

struct MemoryStats {
  std::size_t in_use = 0;   // bytes held by live storages
  std::size_t peak = 0;     // highest in_use since the last reset
  std::size_t cached = 0;   // bytes kept for reuse
  std::size_t scratch = 0;  // bytes of the kernels' scratch memory, not part of in_use
  std::size_t limit = 0;    // 0 = none
};

MemoryStats memory_stats(Device device = {});
void reset_peak_memory(Device device = {});
// A storage that would take in_use + scratch above the limit is an OutOfMemory. 0 removes the
// limit.
void set_memory_limit(std::size_t bytes, Device device = {});
void release_cached_memory(Device device = {});
// For tests: the n-th allocation from now (1 = next) throws OutOfMemory. 0 disarms.
void fail_allocation_after(int n);

// A block of device memory, 64-byte aligned. The bytes between the requested size and the next
// multiple of 64 are zero when it is made.
class Storage {
 public:
  Storage(std::size_t bytes, Device device);  // throws OutOfMemory
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t capacity_ = 0;
  Device device_;
};

}  // namespace hac
