#include "scaling/measure/steadiness.h"

#include <memory>
#include <utility>

namespace hac {

SchedulerSource scheduler_counters() {
  return [watch = std::make_shared<SchedulerWatch>()] { return watch->read(); };
}

SteadyRuns::SteadyRuns(int repeats, SchedulerSource counters)
    : counters_(counters ? std::move(counters) : scheduler_counters()), repeats_left_(repeats) {}

double SteadyRuns::time(const std::function<double()>& run) {
  for (;;) {
    const SchedulerCounters before = counters_();
    const double ms = run();
    if (!hac::disturbed(before, counters_(), ms)) return ms;
    if (repeats_left_ == 0) {
      ++disturbed_;
      return ms;
    }
    --repeats_left_;
    ++repeated_;
  }
}

}  // namespace hac
