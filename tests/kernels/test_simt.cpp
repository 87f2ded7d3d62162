// The host executor runs kernels as a GPU does: barriers, shuffles, orders, exceptions.

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

#include "kernels/core/random.h"
#include "tests/support/simt_launch.h"

std::atomic<std::size_t> heap_allocations = 0;

// Not inlined: GCC 12 would see the malloc of one and the delete of the other as mismatched.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++heap_allocations;
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace hac::HAC_GPU {
namespace {

void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// ---- Kernels, written as in a .cu file ----

__device__ inline float warp_sum(float v) {
  for (int mask = 16; mask > 0; mask /= 2) v += __shfl_xor_sync(full, v, mask);
  return v;
}

// Of a block of whole warps, for every thread. `again`: may follow another one.
template <bool again>
__device__ float block_sum(float v) {
  HAC_SHARED(float, partial, 32);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  v = warp_sum(v);
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  v = warp_sum(lane < blockDim.x / 32 ? partial[lane] : 0.f);
  if (again) __syncthreads();
  return v;
}

__global__ void sum_rows(const float* x, float* y, int n) {
  float v = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) v += load(x + std::int64_t{blockIdx.x} * n + i);
  v = block_sum<true>(v);
  if (threadIdx.x == 0) store(y + blockIdx.x, v);
}

// Sum and sum of squares; without `again` a fast warp overwrites what a slow one still reads.
template <bool again>
__global__ void two_sums(const float* x, float* y) {
  const float v = load(x + threadIdx.x);
  const float sum = block_sum<again>(v), squares = block_sum<again>(v * v);
  if (threadIdx.x == 0) store(y, sum + squares);
}

__global__ void axpy(float a, const float* x, float* y, std::int64_t n) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    store(y + i, a * load(x + i) + load(y + i));
  }
}

template <bool barrier>
__global__ void shift(const float* x, float* y) {
  HAC_SHARED(float, s, 256);
  s[threadIdx.x] = load(x + threadIdx.x);
  if (barrier) __syncthreads();
  store(y + threadIdx.x, threadIdx.x == 0 ? 0.f : s[threadIdx.x - 1]);
}

template <class T>
__global__ void shuffle(T* y, int mask) {
  store(y + threadIdx.x, __shfl_xor_sync(full, static_cast<T>(threadIdx.x + 1), mask));
}

// Threads from `stay` on return at once.
__global__ void early_return(unsigned stay, float* partner, int* after) {
  if (threadIdx.x >= stay) return;
  __syncwarp();
  store(partner + threadIdx.x, __shfl_xor_sync(full, 1.f * threadIdx.x, 5));
  __syncthreads();
  store(after + threadIdx.x, 1);
}

__global__ void write_down(std::vector<int>* order) {
  order->push_back(static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x));
  __syncthreads();
  order->push_back(static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x));
}

struct Counted {
  explicit Counted(std::atomic<int>* n) : count(n) { ++*count; }
  ~Counted() { --*count; }
  std::atomic<int>* count;
};

__global__ void fails(int block, unsigned thread, std::atomic<int>* alive) {
  const Counted counted(alive);
  __syncthreads();
  warp_sum(1);
  if (static_cast<int>(blockIdx.x) >= block && threadIdx.x == thread) {
    throw std::runtime_error("block " + std::to_string(blockIdx.x));
  }
  __syncthreads();
}

// Two blocks at the same time; `late` throws well after the other one has.
__global__ void both_fail(int late, std::atomic<int>* started) {
  ++*started;
  for (int ms = 0; ms < 2000 && *started < 2; ++ms) sleep_ms(1);
  if (static_cast<int>(blockIdx.x) == late) sleep_ms(50);
  throw std::runtime_error("block " + std::to_string(blockIdx.x));
}

__global__ void third_fails(int* blocks) {
  if (++*blocks == 3) throw std::runtime_error("third");
}

// ---- Tests ----

Buffer<float> normals(std::size_t n) {
  return {n, [](std::size_t i) { return Philox{3, 0}.normal(i); }};
}

TEST(Simt, BlockReductionIsRightInEveryOrderAndBitForBitTheSame) {
  constexpr int rows = 5, n = 1000;
  Buffer<float> x = normals(rows * n);
  for (const int block : {32, 64, 96, 256, 1024}) {
    std::vector<float> first;
    for (const Options& how : all_orders) {
      const With with(how);
      Buffer<float> y(rows);
      run("sum_rows", rows, block, sum_rows, x.get(), y.get(), n);
      for (int r = 0; r < rows; ++r) {
        const double sum = std::accumulate(&x[r * n], &x[r * n] + n, 0.0);
        EXPECT_NEAR(y[r], sum, 1e-4) << "row " << r << ", block " << block;
      }
      const std::vector<float> got(y.span().begin(), y.span().end());
      if (first.empty()) first = got;
      EXPECT_EQ(got, first) << "block " << block;
    }
  }
}

TEST(Simt, GridStrideElementwiseCoversEveryElementOnce) {
  for (const std::int64_t n : {1, 31, 1000, 4097}) {
    for (const bool barriers : {false, true}) {
      for (const Options& how : all_orders) {
        const With with(how);
        Buffer<float> x = normals(n), y(n, [](std::size_t i) { return 0.5f * i; });
        launch(context(), {.name = "axpy", .grid = 3, .block = 100, .barriers = barriers}, axpy,
               2.f, x.get(), y.get(), n);
        for (std::int64_t i = 0; i < n; ++i) ASSERT_FLOAT_EQ(y[i], 2 * x[i] + 0.5f * i);
      }
    }
  }
}

TEST(Simt, AMissingBarrierShowsInOtherOrdersThanForward) {
  constexpr int n = 256;
  Buffer<float> x = normals(n);
  const auto wrong = [&](auto kernel, const Options& how) {
    const With with(how);
    Buffer<float> y(n);
    run("shift", 1, n, kernel, x.get(), y.get());
    int count = 0;
    for (int i = 0; i < n; ++i) count += y[i] != (i == 0 ? 0 : x[i - 1]);
    return count;
  };
  for (const Options& how : all_orders) {
    EXPECT_EQ(wrong(shift<true>, how), 0);
    EXPECT_ERROR(wrong(shift<false>, how), DeviceError, "kernel 'shift'", "barrier between");
  }
  EXPECT_EQ(wrong(shift<false>, {.order = Order::forward, .races = false}), 0);
  EXPECT_EQ(wrong(shift<false>, {.order = Order::reversed, .races = false}), n - 1);
  EXPECT_GT(wrong(shift<false>, {.order = Order::random, .seed = 1, .races = false}), n / 4);
}

// The race that hides when all warps go in step.
TEST(Simt, AWarpThatOvertakesAnotherShows) {
  constexpr int n = 256;
  Buffer<float> x = normals(n);
  double expected = 0;
  for (const float v : x.span()) expected += v + double{v} * v;
  const auto result = [&](auto kernel, const Options& how) {
    const With with(how);
    Buffer<float> y(1);
    run("two_sums", 1, n, kernel, x.get(), y.get());
    return y[0];
  };
  for (const Options& how : all_orders) {
    EXPECT_NEAR(result(two_sums<true>, how), expected, 1e-3);
    EXPECT_ERROR(result(two_sums<false>, how), DeviceError, "kernel 'two_sums'", "barrier between");
  }
  const auto unwatched = [&](Order order) {
    return result(two_sums<false>, {.order = order, .races = false});
  };
  EXPECT_NEAR(unwatched(Order::forward), expected, 1e-3);
  EXPECT_GT(std::abs(unwatched(Order::reversed) - expected), 1);
}

template <class T>
void check_shuffles() {
  for (const int mask : {0, 1, 3, 8, 17, 31}) {
    Buffer<T> y(64);
    run("shuffle", 1, 64, shuffle<T>, y.get(), mask);
    for (int i = 0; i < 64; ++i) {
      ASSERT_EQ(y[i], static_cast<T>((i ^ mask) + 1)) << "thread " << i << ", mask " << mask;
    }
  }
}

TEST(Simt, ShufflesFollowThePtxManual) {
  for (const Options& how : all_orders) {
    const With with(how);
    check_shuffles<int>();
    check_shuffles<double>();
    check_shuffles<unsigned char>();
  }
}

TEST(Simt, PartialWarpsAndThreadsThatHaveReturned) {
  for (const Options& how : all_orders) {
    const With with(how);
    for (const auto& [block, stay] : {std::pair{40, 40}, {40, 35}, {64, 20}, {96, 64}, {7, 1}}) {
      Buffer<float> partner(stay);
      Buffer<int> after(stay);
      run("early_return", 1, block, early_return, stay, partner.get(), after.get());
      for (int i = 0; i < stay; ++i) {
        EXPECT_EQ(after[i], 1);
        if ((i ^ 5) < stay) {
          EXPECT_EQ(partner[i], i ^ 5);
        } else {
          EXPECT_TRUE(std::isnan(partner[i])) << "nobody is there";
        }
      }
    }
  }
}

TEST(Simt, OneAndTwoHostThreadsGiveTheSame) {
  constexpr int rows = 37, n = 500;
  Buffer<float> x = normals(rows * n), one(rows), two(rows);
  for (Buffer<float>* y : {&one, &two}) {
    set_num_threads(y == &one ? 1 : 2);
    run("sum_rows", rows, 128, sum_rows, x.get(), y->get(), n);
  }
  set_num_threads(0);
  EXPECT_EQ(std::memcmp(one.get(), two.get(), rows * sizeof(float)), 0);
}

std::vector<int> order_of(const Options& how) {
  const With with(how);
  std::vector<int> order;
  set_num_threads(1);
  run("write_down", 3, 70, write_down, &order);
  set_num_threads(0);
  return order;
}

TEST(Simt, OrdersAreWhatTheySay) {
  const auto check = [](const Options& how, auto place) {
    const std::vector<int> order = order_of(how);
    ASSERT_EQ(order.size(), 3u * 70 * 2);
    for (int i = 0; i < 420; ++i) EXPECT_EQ(order[i], place(i / 140, i % 70)) << "step " << i;
  };
  check({.order = Order::forward}, [](int block, int i) { return block * 70 + i; });
  check({.order = Order::reversed}, [](int block, int i) { return (2 - block) * 70 + 69 - i; });
}

TEST(Simt, RandomOrderIsRepeatableAndEachSeedIsAnother) {
  const std::vector<int> a = order_of({.order = Order::random, .seed = 5});
  EXPECT_EQ(a, order_of({.order = Order::random, .seed = 5}));
  EXPECT_NE(a, order_of({.order = Order::random, .seed = 6}));
  std::vector<int> times(210);
  for (const int i : a) ++times[i];
  EXPECT_EQ(times, std::vector<int>(210, 2));
  EXPECT_NE(std::vector(a.begin(), a.begin() + 70), std::vector(a.begin() + 70, a.begin() + 140))
      << "the order changes at a barrier";
}

TEST(Simt, AnExceptionEndsTheLaunchUnwindsAllThreadsAndIsThrownOn) {
  std::atomic<int> alive = 0;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    for (const Options& how : all_orders) {
      const With with(how);
      for (const unsigned thread : {0u, 37u, 99u}) {
        const int grid = how.order == Order::forward ? 40 : 1, block = grid == 1 ? 0 : 3;
        try {
          run("fails", grid, 100, fails, block, thread, &alive);
          ADD_FAILURE() << "nothing was thrown";
        } catch (const std::runtime_error& e) {
          EXPECT_EQ(e.what(), "block " + std::to_string(block)) << "the first that fails, always";
        }
        EXPECT_EQ(alive, 0);
      }
    }
    run("fails", 4, 100, fails, 9, 0u, &alive);
    EXPECT_EQ(alive, 0);
  }
  set_num_threads(0);
}

TEST(Simt, NoBlockBeginsAfterOneHasFailed) {
  set_num_threads(1);
  int blocks = 0;
  EXPECT_THROW(run("third_fails", 100, 1, third_fails, &blocks), std::runtime_error);
  EXPECT_EQ(blocks, 3);
  set_num_threads(0);
}

TEST(Simt, OfSeveralExceptionsThatOfTheFirstBlockIsThrownOn) {
  set_num_threads(2);
  for (const int late : {0, 1}) {
    std::atomic<int> started = 0;
    try {
      launch(context(), {.name = "both_fail", .grid = 2, .block = 1, .barriers = false}, both_fail,
             late, &started);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "block 0") << "block " << late << " was late";
    }
    EXPECT_EQ(started, 2);
  }
  set_num_threads(0);
}

TEST(Simt, ABarrierInALaunchWithoutBarriersIsNamed) {
  Buffer<float> x(64), y(64);
  EXPECT_ERROR(launch(context(), {.name = "shift", .block = 64, .barriers = false}, shift<true>,
                      x.get(), y.get()),
               DeviceError, "kernel 'shift'", "block 0, thread 0", "barriers = false",
               "__syncthreads");
  EXPECT_ERROR(launch(context(), {.name = "shuffle", .block = 64, .barriers = false},
                      shuffle<float>, y.get(), 1),
               DeviceError, "kernel 'shuffle'", "a shuffle");
}

TEST(Simt, NothingIsAllocatedForAThread) {
  Buffer<float> x = normals(64 * 256), y(64);
  set_num_threads(1);
  const auto allocations = [&](int grid, int block) {
    const std::size_t before = heap_allocations;
    run("sum_rows", grid, block, sum_rows, x.get(), y.get(), 256);
    return heap_allocations - before;
  };
  allocations(64, 256);
  EXPECT_EQ(allocations(64, 256), allocations(1, 32));
  EXPECT_LE(allocations(64, 256), 4u);
  set_num_threads(0);
}

}  // namespace
}  // namespace hac::HAC_GPU
