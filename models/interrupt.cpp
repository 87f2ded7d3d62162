#include "models/interrupt.h"

#include <atomic>

namespace hac {
namespace {

// Any thread may be the one that a signal is delivered to.
std::atomic<bool> asked = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

}  // namespace

InterruptGuard::InterruptGuard() {
  asked = false;
  struct sigaction action = {};
  action.sa_handler = [](int) { asked = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, &int_before_);
  sigaction(SIGTERM, &action, &term_before_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &int_before_, nullptr);
  sigaction(SIGTERM, &term_before_, nullptr);
}

bool InterruptGuard::requested() const { return asked; }

}  // namespace hac
