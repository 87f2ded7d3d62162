#pragma once
// What the tests of the host executor share.

#include <span>

#include "kernels/core/context.h"
#include "kernels/simt/executor.h"
#include "tests/support/messages.h"

namespace hac::simt {

// Elements in checked memory.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t n) : values_(static_cast<T*>(allocate(n * sizeof(T))), n) {}
  template <class F>
  Buffer(std::size_t n, F&& value) : Buffer(n) {
    for (std::size_t i = 0; i < n; ++i) values_[i] = value(i);
  }
  ~Buffer() { release(values_.data()); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* get() { return values_.data(); }
  T& operator[](std::size_t i) { return values_[i]; }
  std::span<T> span() { return values_; }

 private:
  std::span<T> values_;
};

// Options for the rest of the scope.
struct With {
  explicit With(const Options& options) { set_options(options); }
  ~With() { set_options({}); }
};

inline const Options all_orders[] = {{.order = Order::forward},
                                     {.order = Order::reversed},
                                     {.order = Order::random, .seed = 1},
                                     {.order = Order::random, .seed = 2}};

inline Context& context() { return Context::current({DeviceKind::simt, 0}); }

}  // namespace hac::simt
