#pragma once
// A function with a stack of its own that can be left in the middle and gone on with.

#include <cstddef>

#if !defined(__x86_64__) || defined(HAC_SIMT_UCONTEXT)
#define HAC_SIMT_USES_UCONTEXT 1
#include <ucontext.h>
#endif

namespace hac::simt {

class Fiber {
 public:
  // Throws OutOfMemory when there is no room for a stack.
  Fiber(void (*function)(void*), void* argument);
  ~Fiber();  // what is still on the stack is dropped
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the thread's own stack, always the same thread: until function suspends or returns. After
  // it has returned the next resume() calls it again. No exception may leave function.
  void resume();
  // From inside function.
  void suspend();

 private:
  static void main();

  void (*function_)(void*);
  void* argument_;
  unsigned char* stack_ = nullptr;  // with the guard page below
#ifdef HAC_SIMT_USES_UCONTEXT
  ucontext_t own_, host_;
#else
  void *own_ = nullptr, *host_ = nullptr;  // stack pointers; the registers are on the stacks
#endif
  // For AddressSanitizer.
  void* state_ = nullptr;
  const void* host_bottom_ = nullptr;
  std::size_t host_bytes_ = 0;
};

}  // namespace hac::simt
