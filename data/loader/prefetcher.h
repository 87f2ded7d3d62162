#pragma once
// Threads that make the batches of an epoch ahead of time, each batch in a slot of its own, in one
// piece or in parts that several threads make at once. What a slot holds is the owner's affair.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace hac {

class Prefetcher {
 public:
  class Work {
   public:
    std::int64_t batch, part, epoch;
    const std::vector<std::int64_t>& order;  // image order[i] is at position i of the epoch
    std::size_t slot;
    // False once another start() has been called: what is made will not be used.
    bool wanted() const { return generation_ == current_; }

   private:
    friend class Prefetcher;
    explicit Work(const Prefetcher& from)  // the next that is claimed
        : batch(from.claimed_),
          part(from.part_),
          epoch(from.epoch_),
          order(from.order_),
          slot(from.claimed_ % from.slots_.size()),
          generation_(from.generation_),
          current_(from.generation_) {}
    const std::uint64_t generation_;
    const std::atomic<std::uint64_t>& current_;
  };
  using Make = std::function<void(const Work&)>;  // called by all threads

  Prefetcher(int threads, int slots, int parts, Make make);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // Batches [first, end) of an epoch. Waits until nobody works at those of the epoch before, whose
  // slots are free from here on.
  void start(std::vector<std::int64_t> order, std::int64_t epoch, std::int64_t first,
             std::int64_t end);
  // The slot of the next batch, once it is made; none at the end. Rethrows what make() threw, at
  // every call until the next start(). Throws ConfigError before the first.
  std::optional<std::size_t> take();
  // The same, none if it is not made yet or could not be made.
  std::optional<std::size_t> take_if_made();
  // Frees the first slot that was taken and is not free.
  void release();

 private:
  struct Slot {
    int left;  // parts that are not made
    std::exception_ptr error;
    std::int64_t failed = 0;  // the first part that has one
  };

  void work();
  bool may_claim() const { return claimed_ < end_ && claimed_ < released_ + std::ssize(slots_); }
  void finish(const Work& work, std::exception_ptr error);
  std::optional<std::size_t> take(std::unique_lock<std::mutex>& lock, bool wait);

  const int parts_;
  const Make make_;
  std::mutex mutex_;  // of all below
  std::condition_variable work_, made_, idle_;
  std::vector<Slot> slots_;  // batch b waits in slot b % slots
  std::vector<std::int64_t> order_;
  std::int64_t epoch_ = 0;
  std::int64_t claimed_ = 0, part_ = 0;  // the next
  std::int64_t taken_ = 0, released_ = 0, end_ = 0;
  std::atomic<std::uint64_t> generation_{0};  // counts the calls of start()
  int busy_ = 0;                              // threads in make()
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace hac
