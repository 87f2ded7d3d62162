#pragma once
// Ctrl-C and SIGTERM for work that can stop between two steps.

#include <csignal>

namespace hac {

// While one lives, the first signal asks for the work to stop; a second one ends the process at
// once. One at a time in a process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  bool requested() const;

 private:
  struct sigaction int_before_, term_before_;
};

}  // namespace hac
