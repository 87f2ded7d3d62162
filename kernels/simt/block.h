#pragma once
// One host thread's machine: it runs the threads of one block after the other.

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/simt/executor.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/shared.h"
#include "kernels/simt/shuffle.h"

namespace hac::simt {

class Recorder;

// A launch, as all its host threads see it.
struct Job {
  const Launch& how;
  const std::function<void()>& body;
  Options options;
  std::shared_ptr<const std::vector<Range>> ranges;  // that may be accessed
  Device device;
  Recorder* recorder = nullptr;  // null without trace
};

class Block {
 public:
  // The one that runs a thread of a kernel on this host thread now, or null.
  static Block* running() { return running_; }

  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Runs block number `number` of the job, or throws what one of its threads threw.
  void run(const Job& job, std::int64_t number);

  // ---- For the thread that runs ----
  const Thread& thread() const { return current_->thread; }
  void wait_for_previous() { waited_ = true; }
  void access(const void* p, std::size_t bytes, Access kind, Place at);
  SharedSpan shared(const void* tag, std::size_t element_bytes, std::size_t elements);
  void access_shared(int array, std::size_t element, Access kind, Place at);
  enum class Wait : std::uint8_t { none, barrier, warp_barrier, exchange };
  // Until the others have come. value: what is given to an exchange, then what came back.
  void wait(Wait kind, Place at, void* value = nullptr, std::size_t bytes = 0, int from = 0);

 private:
  // A CUDA thread. In a launch without barriers one runs after the other in the same lane, without
  // its fiber.
  struct Lane {
    explicit Lane(Block& its_block) : block(its_block) {}
    Block& block;
    Thread thread;
    bool started = false, returned = false;
    Wait wait = Wait::none;
    Place at;  // where it waits, and with what
    void* value = nullptr;
    std::size_t bytes = 0;
    int from = 0;
    std::unique_ptr<Fiber> fiber;
    bool live() const { return !returned; }
  };
  struct Unwind {};  // thrown at threads that wait when another has failed

  Lane& fresh_lane(int place, int number);
  void run_loop();
  void run_fibers();
  void schedule();
  void run_warp(int first, int end);
  void resume(Lane& lane);
  static void run_lane(void* lane);
  void unwind();
  bool release_barrier();
  void exchange(int first, int end);
  // The first thread of [first, end) that has not returned, or null; all others wait at the same.
  const Lane* meet(int first, int end) const;
  void check(std::uintptr_t p, std::size_t bytes, Access kind, Place at);
  bool is_live(std::uintptr_t p, std::size_t bytes);
  std::string here() const;  // "kernel 'k', block 1, thread 2"

  static constinit inline thread_local Block* running_ = nullptr;

  const Job* job_ = nullptr;
  std::int64_t number_ = 0;
  Lane* current_ = nullptr;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<int> order_;
  Shuffle shuffle_;
  std::exception_ptr failure_;  // what a thread threw
  bool unwinding_ = false;
  bool waited_ = false;  // for the kernel before
  SharedMemory shared_;
  std::array<Range, 4> hits_;  // accessed lately
  std::size_t next_hit_ = 0;
};

}  // namespace hac::simt
