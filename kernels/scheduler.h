#pragma once
// What the operating system took from this process: how a busy machine is told from a slow network.

#include <cstdint>
#include <vector>

namespace hac {

// Sums over the threads of the process, from its start on.
struct SchedulerCounters {
  // Milliseconds in which a thread was ready to run and had no core: pre-empted, woken late, or
  // above its CPU quota. 0 where the kernel does not tell.
  double waited_ms = 0;
  std::int64_t preemptions = 0;  // involuntary context switches
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

// Whether work that took `ms` lost more than a twentieth of it between two readings. A wait of 20
// us is that of any thread that is woken; where waits are not told, a pre-emption is too much.
bool disturbed(const SchedulerCounters& before, const SchedulerCounters& after, double ms);

}  // namespace hac
