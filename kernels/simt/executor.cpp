#include "kernels/simt/executor.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "kernels/core/error.h"
#include "kernels/core/launch.h"
#include "kernels/simt/block.h"
#include "kernels/simt/record.h"
#include "kernels/simt/recorder.h"

namespace hac::simt {
namespace {

// Each keeps up to 1024 stacks, and a process may only have so many mappings.
constexpr int max_host_threads = 16;

struct DeviceState {
  std::atomic<int> launches_left = 0;  // until the device is lost; 0 = it never is
  std::atomic<bool> lost = false;
  std::atomic<std::int64_t> host_transfers = 0;
};

struct State {
  DeviceState devices[device_count];
  std::mutex mutex;
  Options options;
  std::vector<Trace> traces;
};

State& state() {
  static State& instance = *new State;
  return instance;
}

thread_local Device current{DeviceKind::simt, 0};

Block& block_here(const char* what) {
  if (Block::running()) return *Block::running();
  throw DeviceError(fmt::format("simt: expected {} inside a kernel, got it outside", what));
}

void check_launch(const Launch& how) {
  if (Block::running()) {
    throw DeviceError(fmt::format("kernel '{}': a kernel cannot launch another", how.name));
  }
  if (how.grid < 1 || how.grid > INT32_MAX || how.block < 1 || how.block > 1024) {
    throw DeviceError(
        fmt::format("kernel '{}': expected 1 to 2^31-1 blocks of 1 to 1024 threads, got {} of {}",
                    how.name, how.grid, how.block));
  }
}

Block& block_of_this_thread() {
  thread_local Block block;
  return block;
}

// All blocks of the job; blocks behind the first that failed may be left out.
void run_blocks(const Job& job) {
  const int grid = static_cast<int>(job.how.grid);
  std::vector<int> order(grid);
  Shuffle(job.options, 0).fill(order.data(), grid);
  std::atomic<int> failed = grid;
  std::exception_ptr error;
  std::mutex mutex;
  const int threads = job.recorder ? 1 : std::min({omp_get_max_threads(), max_host_threads, grid});
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int i = 0; i < grid; ++i) {
    if (i > failed) continue;
    try {
      block_of_this_thread().run(job, order[i]);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < failed) {
        failed = i;
        error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace

const Thread& thread() { return block_here("threadIdx").thread(); }

int lane() { return static_cast<int>(thread().index.x % 32); }

void barrier(Place at) { block_here("a barrier").wait(Block::Wait::barrier, at); }

void warp_barrier(Place at) { block_here("a barrier").wait(Block::Wait::warp_barrier, at); }

void exchange_bytes(void* value, std::size_t bytes, int from, Place at) {
  block_here("a shuffle").wait(Block::Wait::exchange, at, value, bytes, from);
}

SharedSpan shared(const void* tag, std::size_t element_bytes, std::size_t elements) {
  return block_here("shared memory").shared(tag, element_bytes, elements);
}

void access_shared(int array, std::size_t element, Access kind, Place at) {
  block_here("shared memory").access_shared(array, element, kind, at);
}

void access(const void* p, std::size_t bytes, Access kind, Place at) {
  block_here("load and store").access(p, bytes, kind, at);
}

void wait_for_previous() { block_here("a wait").wait_for_previous(); }

void make_current(Device device) { current = device; }

void require_current(Device device, const std::string& call) {
  if (device == current) return;
  throw DeviceError(fmt::format("{}: expected {}, on which this thread launches, got one for {}",
                                call, to_string(current), to_string(device)));
}

void fail_launch_after(int n, int device) {
  state().devices[device].launches_left = n;
  state().devices[device].lost = false;
}

std::int64_t host_transfers(int device) { return state().devices[device].host_transfers; }

void count_host_transfer(Device device) { ++state().devices[device.index].host_transfers; }

void require_device(Device device) {
  if (!state().devices[device.index].lost) return;
  throw DeviceError(
      fmt::format("{}: the device is lost (simulated): nothing can be asked of it any more",
                  to_string(device)));
}

void begin_launch(Device device) {
  DeviceState& own = state().devices[device.index];
  if (own.launches_left > 0 && --own.launches_left == 0) own.lost = true;
  require_device(device);
}

std::optional<RecordedWork>& recorded_work() {
  thread_local std::optional<RecordedWork> work;
  return work;
}

void set_options(const Options& options) {
  const std::lock_guard lock(state().mutex);
  state().options = options;
}

Options options() {
  const std::lock_guard lock(state().mutex);
  return state().options;
}

void run(Device device, const Launch& how, const std::function<void()>& body) {
  check_launch(how);
  Job job{how, body, options(), live_ranges(device.index), device};
  std::optional<Recorder> recorder;
  if (job.options.trace) job.recorder = &recorder.emplace(how);
  run_blocks(job);
  if (!recorder) return;
  const std::lock_guard lock(state().mutex);
  state().traces.push_back(recorder->trace());
}

std::vector<Trace> take_traces() {
  const std::lock_guard lock(state().mutex);
  return std::exchange(state().traces, {});
}

}  // namespace hac::simt
