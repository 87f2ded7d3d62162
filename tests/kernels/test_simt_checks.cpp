// What the host executor finds and counts: accesses, red zones, shared memory, sectors.

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/simt/asan.h"
#include "tests/support/simt_launch.h"

namespace hac::HAC_GPU {
namespace {

struct alignas(16) Float4 {
  float x, y, z, w;
};

// Where AddressSanitizer does not look.
__attribute__((no_sanitize("address"))) void write_unseen(volatile char* p) { *p = 1; }

// ---- Kernels, written as in a .cu file ----

template <class T>
__global__ void copy(const T* x, T* y) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  store(y + i, load(x + i));
}

// Only thread `which` goes there, by bytes.
template <class T>
__global__ void load_at(const char* p, int which) {
  if (static_cast<int>(threadIdx.x) == which) load(reinterpret_cast<const T*>(p));
}

template <class T>
__global__ void store_at(char* p, int which) {
  if (static_cast<int>(threadIdx.x) == which) store(reinterpret_cast<T*>(p), T{});
}

__global__ void strided(const float* x, float* y, int stride) {
  store(y + threadIdx.x, load(x + threadIdx.x * stride));
}

__global__ void odd_lanes_in_a_loop(const float* x, float* y, int n) {
  float v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) v += threadIdx.x % 2 ? load(x + i) : 0;
  __syncthreads();
  if (threadIdx.x == 0) store(y, v);
  __syncthreads();
}

__global__ void shared_sum(int* y, int overrun) {
  HAC_SHARED(int, a, 8);
  HAC_SHARED(int, b, 8);
  if (threadIdx.x == 0) {
    store(y + blockIdx.x * 2, a[0]);  // fresh in every block
    store(y + blockIdx.x * 2 + 1, b[7]);
    for (int i = 0; i < 8; ++i) a[i] = b[i] = i;
    if (overrun) write_unseen(reinterpret_cast<char*>(&a[7]) + sizeof(int));
  }
}

template <int n>
__device__ char* some_shared() {
  HAC_SHARED(char, s, n);
  return &s[0];
}

template <int n>
__global__ void shared_twice(std::ptrdiff_t* apart) {
  *apart = some_shared<n>() - some_shared<100>();
}

__global__ void look_behind_shared(bool* poisoned) {
  HAC_SHARED(float, s, 5);
  *poisoned = asan::poisoned(&s[4] + 1);
}

__global__ void barrier_and_shuffle() {
  if (threadIdx.x % 32 < 7) {
    __syncthreads();
  } else {
    __shfl_xor_sync(full, 1, 0);
  }
}

__global__ void two_barriers() {
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

// late: that is, behind an access.
__global__ void wait_then_store(const float* x, float* y, bool late) {
  float v = 0;
  if (late) v = load(x);
  wait_for_previous();
  store(y + threadIdx.x, v);
}

__global__ void launches() { launch(context(), {.name = "inner"}, two_barriers); }

// ---- Tests ----

TEST(SimtChecks, AccessesOutsideOfAllocationsAreNamed) {
  for (const bool barriers : {false, true}) {
    Buffer<char> buffer(1004), other(16);
    char* p = buffer.get();
    const auto expect = [&](auto kernel, char* at, std::initializer_list<std::string> parts) {
      const auto launched = [&] {
        launch(context(), {.name = "k", .grid = 2, .block = 40, .barriers = barriers}, kernel, at,
               37);
      };
      EXPECT_TRUE(holds_parts(error_of<DeviceError>(launched), true, parts));
    };
    const auto good = [&](auto kernel, char* at) {
      launch(context(), {.name = "k", .block = 40, .barriers = barriers}, kernel, at, 37);
    };
    good(load_at<float>, p);
    good(load_at<float>, p + 1000);
    good(store_at<char>, p + 1003);
    good(store_at<double>, p + 992);
    expect(load_at<float>, p + 1004,
           {"kernel 'k', block 0, thread 37", "a load of 4 bytes", "0 bytes behind the end",
            "the allocation of 1004 bytes", "test_simt_checks.cpp:"});
    expect(load_at<double>, p + 1000,
           {"expected an address in an allocation",
            "4 bytes before the end of the allocation of 1004 bytes"});
    expect(store_at<float>, p - 4,
           {"a store of 4 bytes", "4 bytes before the allocation of 1004 bytes"});
    expect(store_at<char>, p + 1004, {"a store of 1 byte"});
    expect(load_at<char>, nullptr, {"kernel 'k'", "at 0x0"});
    expect(load_at<char>, reinterpret_cast<char*>(~std::uintptr_t{0}), {"kernel 'k'"});
    int on_the_stack = 0;
    expect(load_at<int>, reinterpret_cast<char*>(&on_the_stack), {"kernel 'k'"});
    expect(load_at<Float4>, p + 8, {"a multiple of 16", "a load of 16 bytes"});
    expect(load_at<double>, p + 4, {"a multiple of 8"});
    expect(store_at<std::uint16_t>, p + 1, {"a multiple of 2", "a store of 2 bytes"});
  }
}

TEST(SimtChecks, KernelsThatMayBeginEarlyMustWaitFirst) {
  Buffer<float> x(1, [](auto) { return 1.f; }), y(64);
  for (const bool waits : {false, true}) {
    const With with({.waits = waits});
    const auto launched = [&](bool late) {
      run("k", 2, 32, wait_then_store, x.get(), y.get(), late);
    };
    launched(false);
    if (waits) {
      EXPECT_ERROR(launched(true), DeviceError, "kernel 'k'",
                   "wait_for_previous() before the first", "test_simt_checks.cpp:");
    } else {
      launched(true);
    }
  }
}

TEST(SimtChecks, ReleasedMemoryIsNoLongerThere) {
  char* p = static_cast<char*>(allocate(64));
  const auto touch = [&] { run("k", 1, 1, load_at<float>, p, 0); };
  touch();
  release(p);
  EXPECT_ERROR(touch(), DeviceError, "kernel 'k'", "expected an address in an allocation");
  EXPECT_ERROR(release(p), DeviceError, "live allocation to release");
  release(nullptr);
}

TEST(SimtChecks, ChecksCanBeTurnedOff) {
  const With with({.check = false});
  float here = 1, there = 0;
  run("copy", 1, 1, copy<float>, &here, &there);
  EXPECT_EQ(there, 1);
}

TEST(SimtChecks, ManyAllocationsAreTakenApart) {
  std::vector<void*> all;
  for (int i = 0; i < 100; ++i) all.push_back(allocate(4));
  for (int i = 0; i < 100; i += 7) {
    char* p = static_cast<char*>(all[i]);
    run("k", 1, 1, store_at<float>, p, 0);
    EXPECT_ERROR(run("k", 1, 1, store_at<float>, p + 4, 0), DeviceError,
                 "0 bytes behind the end of the allocation of 4 bytes");
  }
  for (void* p : all) release(p);
}

TEST(SimtChecks, AWriteIntoARedZoneIsFoundOnRelease) {
  for (const std::size_t bytes : {0, 1, 4, 256, 1000}) {
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(bytes);
    for (const std::ptrdiff_t at : {std::ptrdiff_t{-256}, std::ptrdiff_t{-1}, size, size + 255}) {
      char* p = static_cast<char*>(allocate(bytes));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(p) % 256, 0u);
      write_unseen(p + at);
      const std::string where = at < 0 ? std::to_string(-at) + " bytes before it"
                                       : std::to_string(at - size) + " bytes behind its end";
      EXPECT_ERROR(release(p), DeviceError, "red zones", std::to_string(bytes) + " bytes", where);
    }
    char* p = static_cast<char*>(allocate(bytes));
    std::memset(p, 0, bytes);
    EXPECT_NO_THROW(release(p)) << bytes;
  }
}

TEST(SimtChecks, RedZonesArePoisonedUnderAddressSanitizer) {
  Buffer<char> buffer(13);
  EXPECT_EQ(asan::poisoned(buffer.get() - 1), asan::enabled);
  EXPECT_EQ(asan::poisoned(buffer.get() + 13), asan::enabled);
  EXPECT_FALSE(asan::poisoned(buffer.get()) || asan::poisoned(buffer.get() + 12));
  bool behind_shared = false;
  run("k", 1, 1, look_behind_shared, &behind_shared);
  EXPECT_EQ(behind_shared, asan::enabled);
}

TEST(SimtChecks, NewMemoryIsNotANumber) {
  Buffer<float> x(9);
  Buffer<f16> y(9);
  Buffer<bf16> z(9);
  for (int i = 0; i < 9; ++i) {
    EXPECT_TRUE(std::isnan(x[i]));
    EXPECT_TRUE(std::isnan(to_float(y[i])));
    EXPECT_TRUE(std::isnan(to_float(z[i])));
  }
  EXPECT_EQ(allocate(~std::size_t{0} - 100), nullptr);
}

TEST(SimtChecks, SharedMemoryIsFreshInEveryBlockAndWatched) {
  Buffer<int> y(10);
  run("shared_sum", 5, 4, shared_sum, y.get(), 0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(y[i], -1) << "the NaN pattern";
  EXPECT_ERROR(run("shared_sum", 5, 4, shared_sum, y.get(), 1), DeviceError,
               "kernel 'shared_sum', block 0", "shared arrays");
}

TEST(SimtChecks, SharedArraysOfATemplatesInstancesDifferAndHaveALimit) {
  std::ptrdiff_t apart = 0;
  run("k", 1, 32, shared_twice<100>, &apart);
  EXPECT_EQ(apart, 0);
  run("k", 1, 32, shared_twice<200>, &apart);
  EXPECT_GE(std::abs(apart), 100);
  run("k", 1, 32, shared_twice<48 * 1024 - 100>, &apart);
  EXPECT_ERROR(run("k", 1, 32, shared_twice<48 * 1024 - 99>, &apart), DeviceError,
               "kernel 'k', block 0, thread 0", "49152 bytes of shared memory", "100 more");
}

TEST(SimtChecks, ThreadsThatWaitAtDifferentPlacesAreNamed) {
  for (const Options& how : all_orders) {
    const With with(how);
    EXPECT_ERROR(run("mixed", 1, 64, barrier_and_shuffle), DeviceError, "kernel 'mixed'", "block 0",
                 "thread ", "__syncthreads", "a shuffle", "test_simt_checks.cpp:");
    EXPECT_ERROR(run("two", 1, 96, two_barriers), DeviceError, "kernel 'two'", "block 0",
                 "thread 0 at __syncthreads", "thread 64 at");
    run("two", 1, 64, two_barriers);
  }
}

TEST(SimtChecks, BadLaunchesAndWordsOutsideAKernelAreErrors) {
  for (const Launch& bad : {Launch{.name = "k", .grid = 0, .block = 32},
                            {.name = "k", .grid = 1, .block = 0},
                            {.name = "k", .grid = 1, .block = 1025},
                            {.name = "k", .grid = std::int64_t{1} << 31, .block = 32}}) {
    EXPECT_ERROR(launch(context(), bad, two_barriers), DeviceError, "kernel 'k'",
                 "1 to 1024 threads", std::to_string(bad.grid));
  }
  EXPECT_ERROR(run("outer", 1, 1, launches), DeviceError, "'inner'");
  const float x = 0;
  EXPECT_ERROR(load(&x), DeviceError, "inside a kernel");
  EXPECT_ERROR((void)threadIdx.x, DeviceError, "threadIdx");
  EXPECT_ERROR(__syncthreads(), DeviceError, "barrier");
}

// ---- Traces: every figure is exact ----

template <class F>
Trace trace_of(F&& f, Order order = Order::forward) {
  const With with({.order = order, .seed = 4, .trace = true});
  take_traces();
  f();
  const std::vector<Trace> traces = take_traces();
  EXPECT_EQ(traces.size(), 1u);
  return traces.empty() ? Trace{} : traces[0];
}

TEST(SimtTrace, ACoalescedCopyTouchesNoSectorInVain) {
  constexpr int n = 1024;
  Buffer<Float4> x(n), y(n);
  for (const bool barriers : {false, true}) {
    for (const Order order : {Order::forward, Order::reversed, Order::random}) {
      const Trace t = trace_of(
          [&] {
            launch(context(), {.name = "copy4", .grid = 8, .block = 128, .barriers = barriers},
                   copy<Float4>, x.get(), y.get());
          },
          order);
      EXPECT_EQ(t.kernel, "copy4");
      EXPECT_EQ(t.blocks, 8);
      EXPECT_EQ(t.threads, n);
      EXPECT_EQ(t.warps, 32);
      EXPECT_EQ(t.barriers, 0);
      EXPECT_EQ(t.load_bytes, 16 * n);
      EXPECT_EQ(t.store_bytes, 16 * n);
      EXPECT_EQ(t.warp_loads, 32);
      EXPECT_EQ(t.warp_stores, 32);
      EXPECT_EQ(t.load_sectors, 16 * n / 32);
      EXPECT_EQ(t.store_sectors, 16 * n / 32);
    }
  }
}

TEST(SimtTrace, AStrideOf32TouchesASectorALane) {
  constexpr int n = 256;
  Buffer<float> x(n * 32), y(n);
  const auto traced = [&](int stride) {
    return trace_of([&] { run("strided", 1, n, strided, x.get(), y.get(), stride); });
  };
  const Trace wide = traced(32);
  EXPECT_EQ(wide.load_bytes, 4 * n);
  EXPECT_EQ(wide.load_sectors, n);
  EXPECT_EQ(wide.warp_loads, n / 32);
  EXPECT_EQ(wide.store_sectors, 4 * n / 32);
  EXPECT_EQ(traced(1).load_sectors, 4 * n / 32);
  EXPECT_EQ(traced(2).load_sectors, 8 * n / 32);
  EXPECT_EQ(traced(0).load_sectors, n / 32) << "all lanes at one address: one sector a warp";
  EXPECT_EQ(wide.distinct_load_sectors, n);
  EXPECT_EQ(traced(2).distinct_load_sectors, 8 * n / 32);
  EXPECT_EQ(traced(0).distinct_load_sectors, 1) << "all warps at one address";
  EXPECT_EQ(wide.distinct_store_sectors, 4 * n / 32);
}

TEST(SimtTrace, LoopsPartialWarpsAndIdleLanes) {
  // 40 threads: a warp of 32 and one of 8. 100 elements: rounds of 40, 40 and 20; odd lanes only.
  Buffer<float> x(100, [](std::size_t) { return 1.f; }), y(2);
  const Trace t = trace_of([&] { run("odd", 2, 40, odd_lanes_in_a_loop, x.get(), y.get(), 100); });
  EXPECT_EQ(t.threads, 80);
  EXPECT_EQ(t.warps, 4);
  EXPECT_EQ(t.barriers, 4) << "two in each of two blocks";
  EXPECT_EQ(t.load_bytes, 2 * 50 * 4);
  // Warp 0: elements 0-31, 40-71, 80-99; warp 1: 32-39, 72-79. A sector is 8 elements.
  EXPECT_EQ(t.warp_loads, 2 * 5);
  EXPECT_EQ(t.load_sectors, 2 * (4 + 4 + 3 + 1 + 1));
  EXPECT_EQ(t.distinct_load_sectors, 13) << "both blocks read the same 100 elements";
  EXPECT_EQ(t.store_bytes, 2 * 4);
  EXPECT_EQ(t.warp_stores, 2);
  EXPECT_EQ(t.store_sectors, 2);
}

TEST(SimtTrace, LaunchesComeInOrderAndOnlyThoseTraced) {
  Buffer<float> x(32, [](std::size_t i) { return 1.f * i; }), y(32);
  const auto copies = [&](const char* name) {
    launch(context(), {.name = name, .block = 32}, copy<float>, x.get(), y.get());
  };
  take_traces();
  copies("untraced");
  {
    const With with({.trace = true});
    copies("first");
    EXPECT_ERROR(run("bad", 1, 64, copy<float>, x.get(), y.get()), DeviceError, "'bad'");
    copies("second");
  }
  const std::vector<Trace> traces = take_traces();
  ASSERT_EQ(traces.size(), 2u);
  EXPECT_EQ(traces[0].kernel, "first");
  EXPECT_EQ(traces[1].kernel, "second");
  EXPECT_TRUE(take_traces().empty());
}

}  // namespace
}  // namespace hac::HAC_GPU
