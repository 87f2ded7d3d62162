#pragma once
// Counted, cached, limitable memory. Freed blocks are kept for the next request of their size, so
// that a training step allocates nothing from the system after the first one.

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/core/types.h"

namespace hac {

struct MemoryStats {
  std::size_t in_use = 0;   // bytes held by live storages
  std::size_t peak = 0;     // highest in_use since the last reset
  std::size_t cached = 0;   // bytes kept for reuse
  std::size_t scratch = 0;  // bytes of the kernels' scratch memory, not part of in_use
  std::size_t limit = 0;    // 0 = none
  // What could still be asked for: of the device and under the limit, with the cached bytes.
  std::size_t free = 0;
};

MemoryStats memory_stats(Device device = {});
void reset_peak_memory(Device device = {});
// A storage that would take in_use + scratch above the limit is an OutOfMemory. 0 removes the
// limit.
void set_memory_limit(std::size_t bytes, Device device = {});
void release_cached_memory(Device device = {});
// For tests: the n-th allocation from now (1 = next) throws OutOfMemory. 0 disarms.
void fail_allocation_after(int n);

// The memory of captured work: addresses of no other storage while it lives. Blocks come from the
// device's pool, return here when a storage ends, and serve requests of exactly their size; so work
// that asks twice for the same sizes in the same order finds the second time all that it needs.
class Arena {
 public:
  explicit Arena(Device device) : device_(device) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  Device device() const { return device_; }
  std::size_t bytes() const { return bytes_; }  // of all blocks

 private:
  friend class Storage;
  struct Block {
    void* data = nullptr;
    std::size_t capacity = 0;
  };
  Block take(std::size_t bytes);  // DeviceError if there is none while this thread records
  void give_back(std::size_t bytes, Block block);

  const Device device_;
  std::mutex mutex_;
  std::multimap<std::size_t, Block> free_;
  std::size_t bytes_ = 0;
};

// While one lives, this thread's storages on the arena's device come from the arena, and hold it.
class ArenaScope {
 public:
  explicit ArenaScope(std::shared_ptr<Arena> arena);
  ~ArenaScope();
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  std::shared_ptr<Arena> before_;
};

// A block of device memory, 64-byte aligned. On the CPU the bytes between the requested size and
// the next multiple of 64 may be read and are zero when it is made; no kernel of another device may
// touch them.
class Storage {
 public:
  // Throws OutOfMemory naming what was requested, in use, the peak, scratch memory, what is free
  // and the limit.
  Storage(std::size_t bytes, Device device);
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
  std::shared_ptr<Arena> arena_;  // null: the pool
};

}  // namespace hac
