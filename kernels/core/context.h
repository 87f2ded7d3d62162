#pragma once
// What a kernel needs besides its operands: threads, vendor handles, plan caches, scratch memory.

#include <cstddef>
#include <initializer_list>
#include <memory>

#include "kernels/core/runtime.h"
#include "kernels/core/types.h"

namespace hac {

namespace cpu {
class Library;  // oneDNN engine, stream, primitives; kernels/cpu/library.h
}
namespace cuda {
struct Library;  // CUDA stream, cuDNN and cuBLAS handles, plans; kernels/cuda/library.h
}
namespace simt {
struct Uploads;  // that are not done yet; kernels/simt/uploads.h
}

class Context {
 public:
  explicit Context(Device device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // The one context of this thread for this device, made on first use; the device is then the one
  // that this thread launches on. Throws DeviceError if the device is not there.
  static Context& current(Device device = {});

  Device device() const { return device_; }
  const Runtime& runtime() const { return runtime_; }
  cpu::Library& library() {
    return *static_cast<cpu::Library*>(opened_.get());
  }  // of a cpu context
  cuda::Library& cuda() {
    return *static_cast<cuda::Library*>(opened_.get());
  }  // of a cuda context
  simt::Uploads& uploads() const {
    return *static_cast<simt::Uploads*>(opened_.get());
  }  // of a simt context

  // Scratch memory shared by all kernels of this context; valid until the next call. DeviceError
  // if it would have to grow while this thread records.
  void* scratch(std::size_t bytes);
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  // `count` zeros for atomicInc, at most most_tickets; whoever uses them leaves zeros. DeviceError
  // if this thread records and the context never gave any.
  unsigned* tickets(std::int64_t count);
  static constexpr std::int64_t most_tickets = 4096;
  // What recorded work must hold so that what it points to stays: the tickets, the scratch memory
  // as it is now (the context takes new memory when it needs more), and the plans made so far.
  std::shared_ptr<void> keep_for_replay();
  void release_scratch();
  // Of all contexts of this process for this device.
  static std::size_t total_scratch_bytes(Device device);

 private:
  Device device_;
  const Runtime& runtime_;
  std::shared_ptr<void> opened_;  // Runtime::open
  std::shared_ptr<void> scratch_, tickets_;
  std::size_t scratch_bytes_ = 0;
};

// The scratch memory of one call, cut into parts aligned to 256 bytes; of no bytes null. Nothing
// that takes scratch memory itself may be called while its parts are in use.
class Scratch {
 public:
  Scratch(Context& ctx, std::initializer_list<std::size_t> parts);
  void* take(std::size_t bytes);

 private:
  char* next_ = nullptr;
};

// Threads that CPU kernels use (OpenMP) when the calling thread runs them; other threads keep their
// own number. 0 is the default: OMP_NUM_THREADS, else what the process may have (machine.h).
void set_num_threads(int threads);
int num_threads();

}  // namespace hac
