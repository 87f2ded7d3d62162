#pragma once
// Uploads of the simulated device. Each is done as late as the program allows, when somebody waits
// for it: a kernel that was not made to wait finds what was there before, and host memory that is
// written too early arrives as it was written.

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace hac::simt {

class Upload {
 public:
  explicit Upload(std::function<void()> copy) : copy_(std::move(copy)) {}
  void finish() {
    if (copy_) std::exchange(copy_, nullptr)();
  }
  bool finished() const { return !copy_; }

 private:
  std::function<void()> copy_;
};

// Those that a context has been given, in order. A context and what waits for it are used by one
// thread at a time.
struct Uploads {
  std::vector<std::shared_ptr<Upload>> all;

  void add(std::function<void()> copy) {
    std::erase_if(all, [](const auto& upload) { return upload->finished(); });
    all.push_back(std::make_shared<Upload>(std::move(copy)));
  }
  void finish() const {
    for (const auto& upload : all) upload->finish();
  }
};

}  // namespace hac::simt
