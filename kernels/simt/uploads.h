#pragma once
// Uploads and downloads of the simulated device. Each is done as late as the program allows, when
// somebody waits for it: a kernel that was not made to wait finds what was there before, host
// memory that is written too early arrives as it was written, and memory that is read too early is
// old.

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace hac::simt {

class Upload {
 public:
  explicit Upload(std::function<void()> copy) : copy_(std::move(copy)) {}
  // By whichever thread comes first; others wait for it. What it throws it throws to each of them.
  void finish() {
    const std::scoped_lock lock(mutex_);
    if (copy_) run();
    if (error_) std::rethrow_exception(error_);
  }
  bool finished() {
    const std::scoped_lock lock(mutex_);
    return !copy_;
  }

 private:
  void run() {
    try {
      copy_();
    } catch (...) {
      error_ = std::current_exception();
    }
    copy_ = nullptr;
  }

  std::mutex mutex_;
  std::function<void()> copy_;
  std::exception_ptr error_;
};

// Those that a context has been given and not waited for, in order; an event holds its own.
struct Uploads {
  std::vector<std::shared_ptr<Upload>> all;

  void add(std::function<void()> copy) {
    std::erase_if(all, [](const auto& upload) { return upload->finished(); });
    all.push_back(std::make_shared<Upload>(std::move(copy)));
  }
  void finish() {
    for (const auto& upload : std::exchange(all, {})) {
      if (!upload->finished()) upload->finish();
    }
  }
};

}  // namespace hac::simt
