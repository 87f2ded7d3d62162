#include "models/train/interrupt.h"

#include <atomic>

namespace hac {
namespace {

// Any thread may be the one that a signal is delivered to.
std::atomic<bool> asked = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

// SIGHUP is last, so that it can be left out.
constexpr int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP};

bool hang_up_is_ignored() {
  struct sigaction now = {};
  return sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

std::span<const int> stop_signals() {
  static const std::size_t count = std::size(signals) - (hang_up_is_ignored() ? 1 : 0);
  return std::span(signals).first(count);
}

InterruptGuard::InterruptGuard() {
  static_assert(std::size(signals) == most_signals);
  asked = false;
  std::size_t i = 0;
  for (const int signal : stop_signals()) {
    struct sigaction action = {};
    action.sa_handler = [](int) { asked = true; };
    action.sa_flags = SA_RESTART;
    // The others may come more than once without meaning it: SIGXCPU does every second.
    if (signal == SIGINT || signal == SIGTERM) action.sa_flags |= static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, &before_[i++]);
  }
}

InterruptGuard::~InterruptGuard() {
  std::size_t i = 0;
  for (const int signal : stop_signals()) sigaction(signal, &before_[i++], nullptr);
}

bool InterruptGuard::requested() const { return asked; }

}  // namespace hac
