#pragma once
// Counts what one launch does, warp by warp (see Trace). For one host thread.

#include <compare>
#include <cstdint>
#include <cstring>
#include <unordered_set>
#include <vector>

#include "kernels/simt/executor.h"

namespace hac::simt {

inline bool same_place(const Place& a, const Place& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

class Recorder {
 public:
  explicit Recorder(const Launch& how);

  // By the thread of this number in its block.
  void access(int thread, std::uintptr_t p, std::size_t bytes, Access kind, Place at);
  void barrier() { ++trace_.barriers; }
  void end_block();
  const Trace& trace();

 private:
  // One source line, for loads or for stores, and how often each thread of the block has been
  // there.
  struct Site {
    Place at;
    Access kind;
    std::vector<int> executions;
  };
  // A sector that a warp touched in its k-th execution of a site.
  struct Touch {
    int site, warp, k;
    std::uintptr_t sector;
    auto operator<=>(const Touch&) const = default;
  };

  int site_of(Access kind, Place at);

  int block_;
  Trace trace_;
  std::vector<Site> sites_;
  std::vector<Touch> touches_;  // of the block that runs
  std::unordered_set<std::uintptr_t> loaded_, stored_;
};

}  // namespace hac::simt
