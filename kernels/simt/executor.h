#pragma once
// Runs kernels on the host, thread by thread as a GPU would: every thread of a block is a fiber;
// barriers and shuffles are where one hands over to the next. Blocks are spread over host threads.
//
// What it is for: kernels are executed, in any thread order, with every global access checked and
// counted, on machines that have no GPU. What it is not: fast.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/core/types.h"

namespace hac {
struct Launch;
}

namespace hac::simt {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

// A line of source: std::source_location, which clang 14 does not have.
struct Place {
  const char* file = "";
  int line = 0;
  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// ---- Inside a kernel: each throws DeviceError when it is called outside of one ----

struct Thread {
  Index index, block_index, block_size, grid_size;
};

const Thread& thread();  // of the fiber that runs
int lane();              // threadIdx.x % 32

// All threads of the block must come. Threads that have returned count as arrived, as on a GPU.
// DeviceError naming kernel, block and threads if some wait at another barrier or line (a warp: at
// another warp operation), or in a kernel that was launched as free of barriers.
void barrier(Place at = Place::here());
void warp_barrier(Place at = Place::here());

// The value that lane `from` of this warp, 0 to 31, gave to the same call; a NaN pattern (on a GPU
// undefined) if that thread is not there or has returned. Errors as for warp_barrier. T: at most 16
// bytes, trivially copyable.
void exchange_bytes(void* value, std::size_t bytes, int from, Place at);
template <class T>
T exchange(T value, int from, Place at = Place::here()) {
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
  exchange_bytes(&value, sizeof(T), from, at);
  return value;
}

// An array in the shared memory of this block (shared_array.h is how kernels see it).
struct SharedSpan {
  void* data = nullptr;
  int array = 0;  // its number in the block
};
// The array of this block that tag names: filled with a NaN pattern for every block, aligned to 16.
// DeviceError when a block asks for more than the 48 KiB that a GPU gives without being asked, and
// at its end when something was written between the arrays.
SharedSpan shared(const void* tag, std::size_t element_bytes, std::size_t elements);

enum class Access : std::uint8_t { load, store };
// Checks an access to an element of it: DeviceError outside of the array, and where another thread
// accessed the same element, one of the two stored, and no barrier lies between (__syncthreads, or
// within a warp __syncwarp; a shuffle orders nothing). Which thread came first does not matter.
void access_shared(int array, std::size_t element, Access kind, Place at);
// Counts (when tracing) and checks (when checking) an access to global memory: it must lie inside a
// live allocation of the device that runs and be aligned to its size (the largest power of two in
// it, at most 16); otherwise a DeviceError naming kernel, block, thread, address, the nearest
// allocation (or the other device whose memory it is) and the source line.
void access(const void* p, std::size_t bytes, Access kind, Place at);

// What a kernel that may begin before the one before it has ended must call first (Options::waits).
void wait_for_previous();

// ---- Launching ----

enum class Order : std::uint8_t { forward, reversed, random };
// Which context of a recording goes on where several may: as the calls were given, the one that
// records as far as it can, the others as far as they can, any.
enum class Streams : std::uint8_t { as_given, recording_first, others_first, random };

struct Options {
  Order order = Order::forward;  // of blocks, of the warps of a block between two barriers (each
                                 // goes as far as it can), of the lanes between two warp operations
  Streams streams = Streams::as_given;
  std::uint64_t seed = 0;  // of what is random
  bool check = true;       // every access against the allocations
  bool races = true;       // every access to shared memory against those of other threads
  bool waits = false;      // every kernel must wait_for_previous() before its first access
  bool trace = false;      // keep counts a launch (runs on one host thread)
};

void set_options(const Options& options);  // for all launches after it, of any thread
Options options();

// Runs body once for every thread of the grid, on the device. An exception thrown by one thread
// ends the launch and is thrown on: of several that of the first block in order. The other threads
// of the block are unwound from where they wait, so their destructors run (a destructor must not
// wait for others).
void run(Device device, const Launch& how, const std::function<void()>& body);

// Counts of one launch.
struct Trace {
  std::string kernel;
  std::int64_t blocks = 0, threads = 0, warps = 0;
  std::int64_t barriers = 0;  // __syncthreads, counted once a block
  std::int64_t load_bytes = 0, store_bytes = 0;
  // A warp's access: one execution of one source line by the threads of a warp together.
  std::int64_t warp_loads = 0, warp_stores = 0;
  // 32-byte sectors that these touch; bytes / (32 * sectors) is the share of the traffic in use.
  std::int64_t load_sectors = 0, store_sectors = 0;
  // Sectors that differ: all that memory must move if a cache keeps whatever was touched once.
  std::int64_t distinct_load_sectors = 0, distinct_store_sectors = 0;
};

std::vector<Trace> take_traces();  // since the last call, in order; not of launches that threw

// ---- Devices ----

// simt:0, which is also called simt, and simt:1, to try on one machine what two devices must not
// do: launch on one while the other is current (Context::current of the launch's own device must
// come last), or touch memory of the other.
inline constexpr int device_count = 2;

// The device that this thread launches on. Launching, copying, recording an event or a capture for
// another one is a DeviceError.
void make_current(Device device);
void require_current(Device device, const std::string& call);

// ---- Losing the device ----

// For tests: the n-th launch from now (1 = next), of a kernel or a copy, finds the device lost. It
// is a DeviceError, and so is all that is asked of the device afterwards (allocations, copies,
// replays, events, waiting) until fail_launch_after(0) brings the device back. Memory can always be
// released. One count a device for all threads.
void fail_launch_after(int n, int device = 0);

// Copies from and to the host's memory, and waits of the host, so far: what a step of a GPU is to
// do without.
std::int64_t host_transfers(int device = 0);
void count_host_transfer(Device device);

// ---- Memory ----

// Memory of that device: 256-byte aligned, with red zones before and behind (poisoned under
// AddressSanitizer), contents filled with a NaN pattern. Null if the system has no more.
void* allocate(std::size_t bytes, int device = 0);
// Throws DeviceError when a red zone was written (the memory is free all the same) or p is not
// from allocate. Null does nothing.
void release(void* p);
// Throws DeviceError unless all the bytes lie inside one live allocation of the device. What host
// code does in place of a kernel (a copy, a vendor's product) is checked by it, as `what`.
void require_memory(Device device, const void* p, std::size_t bytes, const char* what);

}  // namespace hac::simt
