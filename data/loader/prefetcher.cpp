#include "data/loader/prefetcher.h"

#include <utility>

#include "kernels/core/denormals.h"
#include "kernels/core/error.h"

namespace hac {

Prefetcher::Prefetcher(int threads, int slots, int parts, Make make)
    : parts_(parts), make_(std::move(make)), slots_(slots, Slot{.left = parts}) {
  for (int t = 0; t < threads; ++t) threads_.emplace_back([this] { work(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Prefetcher::work() {
  flush_denormals();
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stop_ || may_claim(); });
    if (stop_) return;
    const Work work(*this);
    part_ = (part_ + 1) % parts_;
    if (part_ == 0) ++claimed_;
    ++busy_;
    lock.unlock();
    std::exception_ptr error;
    try {
      make_(work);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (--busy_ == 0) idle_.notify_all();
    if (work.wanted()) finish(work, error);
  }
}

void Prefetcher::finish(const Work& work, std::exception_ptr error) {
  Slot& slot = slots_[work.slot];
  if (error && (!slot.error || work.part < slot.failed)) {
    slot.error = std::move(error);
    slot.failed = work.part;
  }
  if (--slot.left == 0) made_.notify_all();
}

void Prefetcher::start(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first,
                       std::int64_t end) {
  {
    std::unique_lock lock(mutex_);
    ++generation_;
    claimed_ = end_;  // nothing more is begun
    idle_.wait(lock, [&] { return busy_ == 0; });
    for (Slot& slot : slots_) slot = {.left = parts_};
    order_ = std::move(order);
    epoch_ = epoch;
    claimed_ = taken_ = released_ = first;
    part_ = 0;
    end_ = end;
  }
  work_.notify_all();
}

std::optional<std::size_t> Prefetcher::take(std::unique_lock<std::mutex>& lock, bool wait) {
  if (generation_ == 0) throw ConfigError("loader: expected start() before next()");
  if (taken_ == end_) return std::nullopt;
  const std::size_t place = taken_ % slots_.size();
  Slot& slot = slots_[place];
  if (!wait && (slot.left > 0 || slot.error)) return std::nullopt;
  made_.wait(lock, [&] { return slot.left == 0; });
  // The error stays: an epoch does not continue with a batch missing.
  if (slot.error) std::rethrow_exception(slot.error);
  slot.left = parts_;
  ++taken_;
  return place;
}

std::optional<std::size_t> Prefetcher::take() {
  std::unique_lock lock(mutex_);
  return take(lock, true);
}

std::optional<std::size_t> Prefetcher::take_if_made() {
  std::unique_lock lock(mutex_);
  return take(lock, false);
}

void Prefetcher::release() {
  {
    const std::lock_guard lock(mutex_);
    ++released_;
  }
  work_.notify_all();
}

}  // namespace hac
