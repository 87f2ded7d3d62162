#pragma once
// What a kernel needs besides its operands: threads, vendor handles, plan caches, scratch memory.

#include <cstddef>
#include <memory>

#include "kernels/types.h"

namespace hac {

namespace cpu {
class Library;  // oneDNN engine, stream, primitive cache; kernels/cpu/library.h
}

class Context {
 public:
  explicit Context(Device device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // The one context of this thread for this device, made on first use.
  // Throws DeviceError if the device is not there.
  static Context& current(Device device = {});

  Device device() const { return device_; }
  cpu::Library& library() { return *library_; }

  // Scratch memory shared by all kernels of this context; valid until the next call.
  void* scratch(std::size_t bytes);
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  void release_scratch();
  // Of all contexts of this process.
  static std::size_t total_scratch_bytes();

 private:
  struct Free {
    void operator()(void* p) const;
  };
  Device device_;
  std::unique_ptr<cpu::Library> library_;
  std::unique_ptr<void, Free> scratch_;
  std::size_t scratch_bytes_ = 0;
};

// Threads that CPU kernels use (OpenMP) when the calling thread runs them; other threads keep their
// own number. 0 restores the default: all cores.
void set_num_threads(int threads);
int num_threads();

}  // namespace hac
