#pragma once
// What the operating system took from this process: how a busy machine is told from a slow network.

#include <cstdint>
#include <functional>
#include <vector>

namespace hac {

// From the start of the process on.
struct SchedulerCounters {
  // Milliseconds in which each thread was ready to run and had no core: pre-empted, woken late, or
  // above its CPU quota. 0 where the kernel does not tell.
  std::vector<double> waited_ms;
  std::int64_t preemptions = 0;  // involuntary context switches of all threads
};

// Reads them; a few microseconds a thread.
class SchedulerWatch {
 public:
  SchedulerWatch();  // of the threads that there are now
  ~SchedulerWatch();
  SchedulerWatch(const SchedulerWatch&) = delete;
  SchedulerWatch& operator=(const SchedulerWatch&) = delete;
  SchedulerCounters read() const;

 private:
  std::vector<int> files_;
};

using SchedulerSource = std::function<SchedulerCounters()>;

// Whether a thread lost more than a twentieth of work that took `ms` between two readings of one
// watch: the others wait for the one that waited longest, and side by side, so that waits do not
// add up. A wait of 20 us is that of any thread that is woken; where waits are not told, a
// pre-emption is too much.
bool disturbed(const SchedulerCounters& before, const SchedulerCounters& after, double ms);

}  // namespace hac
