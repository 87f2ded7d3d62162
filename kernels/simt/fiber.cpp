#include "kernels/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/core/error.h"
#include "kernels/simt/asan.h"

namespace hac::simt {
namespace {

constexpr std::size_t stack_bytes = asan::enabled ? 256 * 1024 : 64 * 1024;

std::size_t guard_bytes() {
  static const std::size_t bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

thread_local Fiber* current = nullptr;

}  // namespace

#ifndef HAC_SIMT_USES_UCONTEXT

// Saves the registers that a call keeps on this stack, its address in *from, and goes on where the
// stack `to` was left. Floating-point modes stay as they are: all fibers of a thread share them.
extern "C" void hac_simt_switch(void** from, void* to);

// A jump, because the processor would predict a return to where this stack called from.
asm(R"(
  .pushsection .text
  .globl hac_simt_switch
  .hidden hac_simt_switch
  .type hac_simt_switch, @function
  .p2align 4
hac_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rdx
  jmp *%rdx
  .size hac_simt_switch, . - hac_simt_switch
  .popsection
)");

// The return address is the last of seven words; above it a null one ends back traces, and puts the
// stack where a call would have.
constexpr int saved_words = 8, entry_word = 6;
#endif

Fiber::Fiber(void (*function)(void*), void* argument) : function_(function), argument_(argument) {
  void* p = mmap(nullptr, guard_bytes() + stack_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED || mprotect(p, guard_bytes(), PROT_NONE) != 0) {
    if (p != MAP_FAILED) munmap(p, guard_bytes() + stack_bytes);
    throw OutOfMemory("simt: no memory for the stack of a thread (hint: fewer host threads)");
  }
  stack_ = static_cast<unsigned char*>(p);
  // Tops at the same place of every page would share a few lines of the cache.
  const std::size_t shift = reinterpret_cast<std::uintptr_t>(p) / guard_bytes() % 32 * 128;
  const std::size_t bytes = stack_bytes - shift;
#ifdef HAC_SIMT_USES_UCONTEXT
  getcontext(&own_);
  own_.uc_stack.ss_sp = stack_ + guard_bytes();
  own_.uc_stack.ss_size = bytes;
  own_.uc_link = nullptr;
  makecontext(&own_, &Fiber::main, 0);
#else
  void** frame = reinterpret_cast<void**>(stack_ + guard_bytes() + bytes) - saved_words;
  frame[entry_word] = reinterpret_cast<void*>(&Fiber::main);
  own_ = frame;
#endif
}

Fiber::~Fiber() {
  asan::unpoison(stack_ + guard_bytes(), stack_bytes);
  munmap(stack_, guard_bytes() + stack_bytes);
}

void Fiber::main() {
  asan::arrive(nullptr, &current->host_bottom_, &current->host_bytes_);
  for (;;) {
    current->function_(current->argument_);
    current->suspend();
  }
}

void Fiber::resume() {
  current = this;
  void* state = nullptr;
  asan::leave(&state, stack_ + guard_bytes(), stack_bytes);
#ifdef HAC_SIMT_USES_UCONTEXT
  swapcontext(&host_, &own_);
#else
  hac_simt_switch(&host_, own_);
#endif
  asan::arrive(state, nullptr, nullptr);
}

void Fiber::suspend() {
  asan::leave(&state_, host_bottom_, host_bytes_);
#ifdef HAC_SIMT_USES_UCONTEXT
  swapcontext(&own_, &host_);
#else
  hac_simt_switch(&own_, host_);
#endif
  asan::arrive(state_, &host_bottom_, &host_bytes_);
}

}  // namespace hac::simt
