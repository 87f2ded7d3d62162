// What the host executor finds and counts: accesses, red zones, shared memory, sectors.

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/device/device.cuh"
#include "kernels/simt/asan.h"
#include "tests/support/simt_fixtures.h"

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

// ---- Tests ----

TEST(SimtChecks, AccessesOutsideOfAllocationsAreNamed) {
  for (const bool barriers : {false, true}) {
    Buffer<char> buffer(1004), other(16);
    char* p = buffer.get();
    const auto expect = [&](auto kernel, char* at, std::initializer_list<std::string> parts) {
      expect_error(
          [&] {
            launch(context(), {.name = "k", .grid = 2, .block = 40, .barriers = barriers}, kernel,
                   at, 37);
          },
          parts);
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

TEST(SimtChecks, ReleasedMemoryIsNoLongerThere) {
  char* p = static_cast<char*>(allocate(64));
  const auto touch = [&] { launch(context(), {.name = "k", .block = 1}, load_at<float>, p, 0); };
  touch();
  release(p);
  expect_error(touch, {"kernel 'k'", "expected an address in an allocation"});
  expect_error([&] { release(p); }, {"live allocation to release"});
  release(nullptr);
}

TEST(SimtChecks, ChecksCanBeTurnedOff) {
  const With with({.check = false});
  float here = 1, there = 0;
  launch(context(), {.name = "copy", .block = 1}, copy<float>, &here, &there);
  EXPECT_EQ(there, 1);
}

TEST(SimtChecks, ManyAllocationsAreTakenApart) {
  std::vector<void*> all;
  for (int i = 0; i < 100; ++i) all.push_back(allocate(4));
  for (int i = 0; i < 100; i += 7) {
    char* p = static_cast<char*>(all[i]);
    launch(context(), {.name = "k", .block = 1}, store_at<float>, p, 0);
    expect_error([&] { launch(context(), {.name = "k", .block = 1}, store_at<float>, p + 4, 0); },
                 {"0 bytes behind the end of the allocation of 4 bytes"});
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
      expect_error([&] { release(p); }, {"red zones", std::to_string(bytes) + " bytes", where});
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
  launch(context(), {.name = "k", .block = 1}, look_behind_shared, &behind_shared);
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
  launch(context(), {.name = "shared_sum", .grid = 5, .block = 4}, shared_sum, y.get(), 0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(y[i], -1) << "the NaN pattern";
  expect_error(
      [&] {
        launch(context(), {.name = "shared_sum", .grid = 5, .block = 4}, shared_sum, y.get(), 1);
      },
      {"kernel 'shared_sum', block 0", "shared arrays"});
}

TEST(SimtChecks, SharedArraysOfATemplatesInstancesDifferAndHaveALimit) {
  std::ptrdiff_t apart = 0;
  launch(context(), {.name = "k", .block = 32}, shared_twice<100>, &apart);
  EXPECT_EQ(apart, 0);
  launch(context(), {.name = "k", .block = 32}, shared_twice<200>, &apart);
  EXPECT_GE(std::abs(apart), 100);
  launch(context(), {.name = "k", .block = 32}, shared_twice<48 * 1024 - 100>, &apart);
  expect_error(
      [&] { launch(context(), {.name = "k", .block = 32}, shared_twice<48 * 1024 - 99>, &apart); },
      {"kernel 'k', block 0, thread 0", "49152 bytes of shared memory", "100 more"});
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
  const auto run = [&](int stride) {
    return trace_of([&] {
      launch(context(), {.name = "strided", .block = n}, strided, x.get(), y.get(), stride);
    });
  };
  const Trace wide = run(32);
  EXPECT_EQ(wide.load_bytes, 4 * n);
  EXPECT_EQ(wide.load_sectors, n);
  EXPECT_EQ(wide.warp_loads, n / 32);
  EXPECT_EQ(wide.store_sectors, 4 * n / 32);
  EXPECT_EQ(run(1).load_sectors, 4 * n / 32);
  EXPECT_EQ(run(2).load_sectors, 8 * n / 32);
  EXPECT_EQ(run(0).load_sectors, n / 32) << "all lanes at one address: one sector a warp";
  EXPECT_EQ(wide.distinct_load_sectors, n);
  EXPECT_EQ(run(2).distinct_load_sectors, 8 * n / 32);
  EXPECT_EQ(run(0).distinct_load_sectors, 1) << "all warps at one address";
  EXPECT_EQ(wide.distinct_store_sectors, 4 * n / 32);
}

TEST(SimtTrace, LoopsPartialWarpsAndIdleLanes) {
  // 40 threads: a warp of 32 and one of 8. 100 elements: rounds of 40, 40 and 20; odd lanes only.
  Buffer<float> x(100, [](std::size_t) { return 1.f; }), y(2);
  const Trace t = trace_of([&] {
    launch(context(), {.name = "odd", .grid = 2, .block = 40}, odd_lanes_in_a_loop, x.get(),
           y.get(), 100);
  });
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
  const auto run = [&](const char* name) {
    launch(context(), {.name = name, .block = 32}, copy<float>, x.get(), y.get());
  };
  take_traces();
  run("untraced");
  {
    const With with({.trace = true});
    run("first");
    expect_error(
        [&] { launch(context(), {.name = "bad", .block = 64}, copy<float>, x.get(), y.get()); },
        {"'bad'"});
    run("second");
  }
  const std::vector<Trace> traces = take_traces();
  ASSERT_EQ(traces.size(), 2u);
  EXPECT_EQ(traces[0].kernel, "first");
  EXPECT_EQ(traces[1].kernel, "second");
  EXPECT_TRUE(take_traces().empty());
}

}  // namespace
}  // namespace hac::HAC_GPU
