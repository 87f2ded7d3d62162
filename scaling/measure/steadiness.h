#pragma once
// Timed runs on a machine that others use too: a run that was disturbed is taken again, within a
// bound, and what could not be had undisturbed is counted.

#include <functional>

#include "kernels/core/scheduler.h"

namespace hac {

// Of the operating system, for the threads that there are now. Holds a file for each of them.
SchedulerSource scheduler_counters();

class SteadyRuns {
 public:
  // `counters` stands in for scheduler_counters(), which null takes.
  // Up to `repeats` runs are taken again.
  SteadyRuns(int repeats, SchedulerSource counters);

  // Milliseconds that `run` gives for itself; the last ones if it was disturbed to the end.
  double time(const std::function<double()>& run);

  int repeated() const { return repeated_; }
  int disturbed() const { return disturbed_; }  // runs that count although they were

 private:
  SchedulerSource counters_;
  int repeats_left_, repeated_ = 0, disturbed_ = 0;
};

}  // namespace hac
