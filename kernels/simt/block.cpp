#include "kernels/simt/block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "kernels/core/error.h"
#include "kernels/core/launch.h"
#include "kernels/simt/recorder.h"

namespace hac::simt {
namespace {

constexpr int warp_size = 32;

std::string_view name_of(Block::Wait wait) {
  constexpr std::string_view names[] = {"", "__syncthreads", "__syncwarp", "a shuffle"};
  return names[static_cast<int>(wait)];
}

std::string_view name_of(Access kind) { return kind == Access::load ? "load" : "store"; }

}  // namespace

void Block::run(const Job& job, std::int64_t number) {
  job_ = &job;
  number_ = number;
  shuffle_ = Shuffle(job.options, static_cast<std::uint64_t>(number) + 1);
  shared_.clear();
  shared_.races().barrier();
  hits_ = {};
  waited_ = false;
  struct Running {
    explicit Running(Block* block) { running_ = block; }
    ~Running() { running_ = nullptr; }
  } const guard(this);
  job.how.barriers ? run_fibers() : run_loop();
  if (!shared_.intact()) {
    throw DeviceError(fmt::format(
        "kernel '{}', block {}: expected writes inside the shared arrays, got one behind an end",
        job.how.name, number));
  }
  if (job.recorder) job.recorder->end_block();
}

Block::Lane& Block::fresh_lane(int place, int number) {
  if (place == static_cast<int>(lanes_.size())) lanes_.push_back(std::make_unique<Lane>(*this));
  Lane& lane = *lanes_[place];
  lane.thread = {.index = {static_cast<unsigned>(number)},
                 .block_index = {static_cast<unsigned>(number_)},
                 .block_size = {static_cast<unsigned>(job_->how.block), 1, 1},
                 .grid_size = {static_cast<unsigned>(job_->how.grid), 1, 1}};
  lane.started = lane.returned = false;
  lane.wait = Wait::none;
  return lane;
}

void Block::run_loop() {
  order_.resize(job_->how.block);
  shuffle_.fill(order_.data(), job_->how.block);
  for (const int i : order_) {
    current_ = &fresh_lane(0, i);
    job_->body();
  }
}

void Block::run_fibers() {
  for (int i = 0; i < job_->how.block; ++i) fresh_lane(i, i);
  std::exception_ptr error;
  try {
    schedule();
  } catch (...) {
    error = std::current_exception();
  }
  if (!error) return;
  unwind();
  std::rethrow_exception(error);
}

// A warp goes as far as it can before the next one begins: any two threads of different warps then
// meet in both orders under Order::forward and Order::reversed.
void Block::schedule() {
  const int threads = job_->how.block;
  const int warps = static_cast<int>(ceil_div(threads, warp_size));
  order_.resize(warps);
  do {
    shuffle_.fill(order_.data(), warps);
    for (const int w : order_) {
      run_warp(w * warp_size, std::min(threads, (w + 1) * warp_size));
    }
  } while (release_barrier());
}

void Block::run_warp(int first, int end) {
  for (;;) {
    int order[warp_size];
    shuffle_.fill(order, end - first);
    for (int i = 0; i < end - first; ++i) {
      Lane& lane = *lanes_[first + order[i]];
      if (lane.live() && lane.wait == Wait::none) resume(lane);
    }
    const Lane* met = meet(first, end);
    if (!met || met->wait == Wait::barrier) return;
    if (met->wait == Wait::exchange) exchange(first, end);
    if (met->wait == Wait::warp_barrier) shared_.races().warp_barrier(first / warp_size);
    for (int i = first; i < end; ++i) lanes_[i]->wait = Wait::none;
  }
}

void Block::resume(Lane& lane) {
  if (!lane.fiber) lane.fiber = std::make_unique<Fiber>(&Block::run_lane, &lane);
  lane.started = true;
  current_ = &lane;
  lane.fiber->resume();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Block::run_lane(void* p) {
  Lane& lane = *static_cast<Lane*>(p);
  Block& block = lane.block;
  try {
    block.job_->body();
  } catch (const Unwind&) {
  } catch (...) {
    if (!block.unwinding_) block.failure_ = std::current_exception();
  }
  lane.returned = true;
}

void Block::unwind() {
  unwinding_ = true;
  for (int i = 0; i < job_->how.block; ++i) {
    current_ = lanes_[i].get();
    if (current_->started && current_->live()) current_->fiber->resume();
  }
  unwinding_ = false;
}

void Block::wait(Wait kind, Place at, void* value, std::size_t bytes, int from) {
  Lane& lane = *current_;
  if (!job_->how.barriers) {
    throw DeviceError(
        fmt::format("{}: expected no barrier and no shuffle (the launch says "
                    "barriers = false), got {} ({}:{})",
                    here(), name_of(kind), at.file, at.line));
  }
  if (unwinding_) throw Unwind{};
  lane.wait = kind;
  lane.at = at;
  lane.value = value;
  lane.bytes = bytes;
  lane.from = from;
  lane.fiber->suspend();
  if (unwinding_) throw Unwind{};
}

const Block::Lane* Block::meet(int first, int end) const {
  const Lane* met = nullptr;
  for (int i = first; i < end; ++i) {
    const Lane& lane = *lanes_[i];
    if (!lane.live()) continue;
    if (!met) met = &lane;
    if (lane.wait == met->wait && same_place(lane.at, met->at)) continue;
    throw DeviceError(fmt::format(
        "kernel '{}', block {}: expected all threads at one barrier or shuffle, got thread {} at "
        "{} ({}:{}) and thread {} at {} ({}:{})",
        job_->how.name, number_, met->thread.index.x, name_of(met->wait), met->at.file,
        met->at.line, i, name_of(lane.wait), lane.at.file, lane.at.line));
  }
  return met;
}

bool Block::release_barrier() {
  if (!meet(0, job_->how.block)) return false;
  for (int i = 0; i < job_->how.block; ++i) lanes_[i]->wait = Wait::none;
  if (job_->recorder) job_->recorder->barrier();
  shared_.races().barrier();
  return true;
}

void Block::exchange(int first, int end) {
  unsigned char given[warp_size][16];
  for (int i = first; i < end; ++i) {
    const Lane& lane = *lanes_[i];
    if (lane.live()) std::memcpy(given[i - first], lane.value, lane.bytes);
  }
  for (int i = first; i < end; ++i) {
    const Lane& lane = *lanes_[i];
    if (!lane.live()) continue;
    const int from = first + lane.from;
    if (from < end && lanes_[from]->live()) {
      std::memcpy(lane.value, given[lane.from], lane.bytes);
    } else {
      std::memset(lane.value, 0xFF, lane.bytes);
    }
  }
}

SharedSpan Block::shared(const void* tag, std::size_t element_bytes, std::size_t elements) {
  const SharedMemory::Array* array = shared_.get(tag, element_bytes, elements);
  if (array) return {shared_.data(*array), array->number};
  throw DeviceError(
      fmt::format("{}: expected at most {} bytes of shared memory, got {} more on "
                  "top of what the block has",
                  here(), SharedMemory::limit, element_bytes * elements));
}

void Block::access_shared(int array, std::size_t element, Access kind, Place at) {
  const SharedMemory::Array& a = shared_.array(array);
  if (element >= a.elements) {
    throw DeviceError(
        fmt::format("{}: expected an index below {} into shared memory, got {} ({}:{})", here(),
                    a.elements, static_cast<std::int64_t>(element), at.file, at.line));
  }
  if (!job_->options.races) return;
  const auto other = shared_.races().access(a.first_cell + element,
                                            static_cast<int>(thread().index.x), kind, at.line);
  if (!other) return;
  throw DeviceError(fmt::format(
      "{}: expected a barrier between two threads that access one element of shared memory, got a "
      "{} of element {} ({}:{}) and a {} by thread {} (line {})",
      here(), name_of(kind), element, at.file, at.line, name_of(other->kind), other->thread,
      other->line));
}

void Block::access(const void* p, std::size_t bytes, Access kind, Place at) {
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  if (job_->options.waits && !waited_) {
    throw DeviceError(
        fmt::format("{}: expected wait_for_previous() before the first {}, got it at "
                    "{}:{}",
                    here(), name_of(kind), at.file, at.line));
  }
  if (job_->options.check) check(address, bytes, kind, at);
  if (job_->recorder) {
    job_->recorder->access(static_cast<int>(thread().index.x), address, bytes, kind, at);
  }
}

void Block::check(std::uintptr_t p, std::size_t bytes, Access kind, Place at) {
  const std::size_t alignment = std::min<std::size_t>(16, bytes & (~bytes + 1));
  const bool live = is_live(p, bytes);
  if (live && p % alignment == 0) return;
  throw DeviceError(fmt::format(
      "{}: expected {}, got a {} of {} bytes at {:#x}, {} ({}:{})", here(),
      live ? fmt::format("a multiple of {} as address", alignment) : "an address in an allocation",
      name_of(kind), bytes, p, describe_place(job_->device.index, p), at.file, at.line));
}

bool Block::is_live(std::uintptr_t p, std::size_t bytes) {
  for (const Range& hit : hits_) {
    if (hit.holds(p, bytes)) return true;
  }
  const Range* found = find_range(*job_->ranges, p, bytes);
  if (found) hits_[next_hit_++ % hits_.size()] = *found;
  return found != nullptr;
}

std::string Block::here() const {
  return fmt::format("kernel '{}', block {}, thread {}", job_->how.name, number_, thread().index.x);
}

}  // namespace hac::simt
