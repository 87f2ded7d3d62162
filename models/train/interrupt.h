#pragma once
// Signals that ask work to stop between two steps, so that it can be saved: Ctrl-C, SIGTERM, a
// terminal that went away (SIGHUP), what schedulers send before they kill (SIGUSR1, SIGUSR2, and
// SIGXCPU at the limit of CPU time).

#include <csignal>
#include <span>

namespace hac {

// The signals above. A hang-up that is ignored when the program starts, as nohup arranges, is none.
std::span<const int> stop_signals();

// While one lives, the first signal asks for the work to stop; a second Ctrl-C or SIGTERM ends the
// process at once. One at a time in a process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool requested() const;

 private:
  static constexpr std::size_t most_signals = 6;
  struct sigaction before_[most_signals];
};

}  // namespace hac
