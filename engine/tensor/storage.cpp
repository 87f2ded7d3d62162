#include "engine/tensor/storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"

namespace hac {
namespace {

constexpr std::size_t kAlign = 64;

// simt gives exactly what is asked for, and so finds what goes past its end.
std::size_t block_bytes(Device device, std::size_t bytes) {
  const std::size_t least = std::max<std::size_t>(bytes, 1);
  return device.kind == DeviceKind::simt ? least : round_up(least, kAlign);
}

double mib(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// One device's memory with a free list by size. A cached block serves a request of at least 7/8 of
// its size.
class Pool {
 public:
  explicit Pool(Device device) : device_(device), runtime_(runtime_of(device)) {}

  void* allocate(std::size_t bytes, std::size_t& capacity) {
    const std::scoped_lock lock(mutex_);
    if (fail_in_ > 0 && --fail_in_ == 0) throw OutOfMemory("allocation failed on request");
    const std::size_t wanted = block_bytes(device_, bytes);
    if (over_limit(wanted)) refuse(wanted, "over the limit");
    void* data = take_cached(wanted, capacity);
    if (!data) data = take_new(wanted, capacity);
    stats_.in_use += capacity;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    highest_ = std::max(highest_, stats_.in_use);
    return data;
  }

  void release(void* data, std::size_t capacity) {
    const std::scoped_lock lock(mutex_);
    stats_.in_use -= capacity;
    // simt checks what lies around a block when it is given back: nothing is kept there.
    if (device_.kind == DeviceKind::simt) return runtime_.release(device_, data);
    stats_.cached += capacity;
    free_.emplace(capacity, data);
  }

  void trim() {
    const std::scoped_lock lock(mutex_);
    trim_locked();
  }

  MemoryStats stats() {
    const std::scoped_lock lock(mutex_);
    MemoryStats stats = stats_;
    stats.scratch = Context::total_scratch_bytes(device_);
    stats.free = free_bytes();
    return stats;
  }
  std::string describe() {
    const std::scoped_lock lock(mutex_);
    return describe_locked();
  }
  void reset_peak() {
    const std::scoped_lock lock(mutex_);
    stats_.peak = stats_.in_use;
  }
  void set_limit(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    stats_.limit = bytes;
  }
  void fail_after(int n) {
    const std::scoped_lock lock(mutex_);
    fail_in_ = n;
  }

 private:
  bool over_limit(std::size_t more) const {
    return stats_.limit > 0 &&
           stats_.in_use + Context::total_scratch_bytes(device_) + more > stats_.limit;
  }

  std::size_t free_bytes() const {
    const std::size_t left = runtime_.memory(device_).free + stats_.cached;
    const std::size_t used = stats_.in_use + Context::total_scratch_bytes(device_);
    return stats_.limit > 0 ? std::min(left, stats_.limit - std::min(stats_.limit, used)) : left;
  }

  void* take_cached(std::size_t wanted, std::size_t& capacity) {
    auto it = free_.lower_bound(wanted);
    if (it == free_.end() || it->first - wanted > wanted / 8 || over_limit(it->first)) {
      return nullptr;
    }
    it = std::prev(free_.upper_bound(it->first));  // the last given back: a cache may hold it
    void* data = it->second;
    capacity = it->first;
    stats_.cached -= capacity;
    free_.erase(it);
    return data;
  }

  void* take_new(std::size_t wanted, std::size_t& capacity) {
    // Many networks in a row must not pile up blocks of sizes that are not asked for again. Twice
    // the highest use leaves room for the blocks of training beside those of evaluation.
    const std::size_t needed = stats_.in_use + wanted;
    if (needed + stats_.cached > 2 * std::max(highest_, needed)) trim_locked();
    capacity = wanted;
    void* data = runtime_.allocate(device_, wanted);
    if (!data) {
      trim_locked();
      data = runtime_.allocate(device_, wanted);
    }
    const bool grouped = device_.kind == DeviceKind::cpu && limits().memory_bytes;
    if (!data) refuse(wanted, grouped ? "the control group has no more" : "the system has no more");
    return data;
  }

  void trim_locked() {
    for (const auto& [size, data] : free_) runtime_.release(device_, data);
    free_.clear();
    stats_.cached = 0;
  }

  std::string describe_locked() const {
    return fmt::format(
        "in use {:.1f} MiB, peak {:.1f} MiB, scratch {:.1f} MiB, free {:.1f} MiB, limit {}",
        mib(stats_.in_use), mib(stats_.peak), mib(Context::total_scratch_bytes(device_)),
        mib(free_bytes()), stats_.limit ? fmt::format("{:.1f} MiB", mib(stats_.limit)) : "none");
  }

  [[noreturn]] void refuse(std::size_t wanted, const char* why) {
    throw OutOfMemory(fmt::format(
        "memory on {}: requested {:.1f} MiB, {}; {} (hint: a smaller --batch, --resolution or "
        "--width)",
        to_string(device_), mib(wanted), why, describe_locked()));
  }

  const Device device_;
  const Runtime& runtime_;
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  MemoryStats stats_;
  std::size_t highest_ = 0;  // in_use ever; unlike the peak it is never reset
  int fail_in_ = 0;
};

Pool& pool(Device device) {
  static const MemoryKeeper keeper{.release_unused = release_cached_memory,
                                   .describe = [](Device d) { return pool(d).describe(); }};
  set_memory_keeper(&keeper);
  if (device == Device{}) {
    static Pool& host = *new Pool({});  // outlives every static tensor
    return host;
  }
  static std::mutex mutex;
  static auto& pools = *new std::map<Device, Pool>;
  const std::scoped_lock lock(mutex);
  return pools.try_emplace(device, device).first->second;
}

// oneDNN reads the bytes between a block's requested size and its end; they are zero.
void zero_tail(Device device, void* data, std::size_t bytes) {
  if (device.kind != DeviceKind::cpu) return;
  std::memset(static_cast<char*>(data) + bytes, 0, block_bytes(device, bytes) - bytes);
}

thread_local std::shared_ptr<Arena> current_arena;

}  // namespace

MemoryStats memory_stats(Device device) { return pool(device).stats(); }
void reset_peak_memory(Device device) { pool(device).reset_peak(); }
void set_memory_limit(std::size_t bytes, Device device) { pool(device).set_limit(bytes); }
void release_cached_memory(Device device) { pool(device).trim(); }
void fail_allocation_after(int n) { pool({}).fail_after(n); }

Storage::Storage(std::size_t bytes, Device device) : bytes_(bytes), device_(device) {
  if (current_arena && current_arena->device() == device) {
    arena_ = current_arena;
    const Arena::Block block = arena_->take(bytes);
    data_ = block.data;
    capacity_ = block.capacity;
    return;
  }
  data_ = pool(device).allocate(bytes, capacity_);
  zero_tail(device, data_, bytes);
}

Storage::~Storage() {
  if (arena_) {
    arena_->give_back(bytes_, {data_, capacity_});
  } else {
    pool(device_).release(data_, capacity_);
  }
}

Arena::~Arena() {
  for (const auto& [bytes, block] : free_) pool(device_).release(block.data, block.capacity);
}

Arena::Block Arena::take(std::size_t bytes) {
  const std::scoped_lock lock(mutex_);
  if (const auto it = free_.find(bytes); it != free_.end()) {
    const Block block = it->second;
    free_.erase(it);
    return block;
  }
  refuse_in_capture(fmt::format("a tensor of {} bytes more than in the warm-up", bytes));
  Block block;
  block.data = pool(device_).allocate(bytes, block.capacity);
  bytes_ += block.capacity;
  zero_tail(device_, block.data, bytes);  // once: no kernel writes there
  return block;
}

void Arena::give_back(std::size_t bytes, Block block) {
  const std::scoped_lock lock(mutex_);
  free_.emplace(bytes, block);
}

ArenaScope::ArenaScope(std::shared_ptr<Arena> arena)
    : before_(std::exchange(current_arena, std::move(arena))) {}

ArenaScope::~ArenaScope() { current_arena = std::move(before_); }

}  // namespace hac
