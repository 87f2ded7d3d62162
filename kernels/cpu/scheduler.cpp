#include "kernels/core/scheduler.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

namespace hac {
namespace {

constexpr double wake_up_ms = 0.02, tolerated = 0.05;

// "784291 3029094 1": nanoseconds on a core and waiting for one, times that it got one.
double waited_ms(int file) {
  char text[96];
  const ssize_t length = pread(file, text, sizeof text, 0);
  if (length <= 0) return 0;  // the thread has ended
  const char* end = text + length;
  const char* second = std::find(text, text + length, ' ') + 1;
  std::int64_t ns = 0;
  if (second >= end) return 0;
  std::from_chars(second, end, ns);
  return static_cast<double>(ns) * 1e-6;
}

}  // namespace

SchedulerWatch::SchedulerWatch() {
  std::error_code none;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", none)) {
    const int file = open((task.path() / "schedstat").c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) files_.push_back(file);
  }
}

SchedulerWatch::~SchedulerWatch() {
  for (const int file : files_) close(file);
}

SchedulerCounters SchedulerWatch::read() const {
  SchedulerCounters counters;
  for (const int file : files_) counters.waited_ms.push_back(waited_ms(file));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  counters.preemptions = usage.ru_nivcsw;
  return counters;
}

bool disturbed(const SchedulerCounters& before, const SchedulerCounters& after, double ms) {
  double longest = 0;
  bool told = false;
  for (std::size_t t = 0; t < after.waited_ms.size(); ++t) {
    longest = std::max(longest, after.waited_ms[t] - before.waited_ms[t]);
    told = told || after.waited_ms[t] > 0;
  }
  if (told) return longest > std::max(wake_up_ms, tolerated * ms);
  return after.preemptions > before.preemptions;
}

}  // namespace hac
