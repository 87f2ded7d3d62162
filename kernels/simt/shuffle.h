#pragma once
// The orders in which threads may run.

#include <cstdint>
#include <utility>

#include "kernels/core/random.h"
#include "kernels/simt/executor.h"

namespace hac::simt {

class Shuffle {
 public:
  Shuffle() = default;
  // Different streams give different random orders, the same one always the same.
  Shuffle(const Options& options, std::uint64_t stream)
      : order_(options.order), random_{options.seed, stream} {}

  // Writes 0, 1, ... n - 1 in the order asked for, a new random one at every call.
  void fill(int* out, int n) {
    for (int i = 0; i < n; ++i) out[i] = order_ == Order::reversed ? n - 1 - i : i;
    if (order_ != Order::random) return;
    for (int i = n - 1; i > 0; --i) {
      std::swap(out[i], out[random_.below(next_++, static_cast<std::uint32_t>(i) + 1)]);
    }
  }

 private:
  Order order_ = Order::forward;
  Philox random_;
  std::uint64_t next_ = 0;
};

}  // namespace hac::simt
