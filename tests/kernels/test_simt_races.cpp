// Races for shared memory that the host executor must find, in whatever order its threads run, and
// what it must not take for one.

#include "tests/support/simt_launch.h"

namespace hac::HAC_GPU {
namespace {

// ---- Kernels, written as in a .cu file ----

enum class Ordering { nothing, warp_barrier, barrier, shuffle };

__device__ inline void order_by(Ordering how) {
  if (how == Ordering::warp_barrier) __syncwarp();
  if (how == Ordering::barrier) __syncthreads();
  if (how == Ordering::shuffle) __shfl_xor_sync(full, 1, 0);
}

// Thread `first` stores or loads element 3, then, ordered by `how` or not, thread `second`.
__global__ void two_accesses(int first, bool first_stores, int second, bool second_stores,
                             Ordering how) {
  HAC_SHARED(int, s, 8);
  const int t = threadIdx.x;
  const auto access = [&](bool stores) {
    if (stores) {
      s[3] = t;
    } else {
      const int seen = s[3];
      (void)seen;
    }
  };
  if (t == first) access(first_stores);
  order_by(how);
  if (t == second) access(second_stores);
}

// Every thread in [begin, end) but `writer` loads element 0, the writer stores it.
__global__ void many_readers(int begin, int end, int writer) {
  HAC_SHARED(float, s, 1);
  const int t = threadIdx.x;
  if (t == writer) s[0] = 1;
  if (t != writer && t >= begin && t < end) {
    const float seen = s[0];
    (void)seen;
  }
}

__global__ void own_elements() {
  HAC_SHARED(double, s, 256);
  for (int round = 0; round < 3; ++round) s[threadIdx.x] += 1.;
}

__global__ void tree_sum(const float* x, float* y, bool barriers) {
  HAC_SHARED(float, s, 256);
  const int t = threadIdx.x;
  s[t] = load(x + t);
  for (int half = 128; half > 0; half /= 2) {
    if (barriers || half == 128) __syncthreads();
    if (t < half) s[t] += s[t + half];
  }
  if (t == 0) store(y, s[0]);
}

__global__ void index_at(int i) {
  HAC_SHARED(float, first, 5);
  HAC_SHARED(float, second, 5);
  first[0] = 0;
  second[i] = 1;
}

// ---- Tests ----

TEST(SimtRaces, AreFoundWhicheverThreadComesFirst) {
  struct Stores {
    bool first, second;
  };
  // Of one warp, of two, and of the last and the first.
  for (const std::pair<int, int>& t : {std::pair(0, 1), std::pair(5, 40), std::pair(95, 2)}) {
    for (const Options& how : all_orders) {
      const With with(how);
      const auto access = [&](Stores stores, Ordering order) {
        run("k", 2, 96, two_accesses, t.first, stores.first, t.second, stores.second, order);
      };
      for (const Stores stores : {Stores{true, true}, Stores{true, false}, Stores{false, true}}) {
        EXPECT_ERROR(access(stores, Ordering::nothing), DeviceError, "kernel 'k', block ",
                     "expected a barrier", "element 3", "by thread ",
                     "test_simt_races.cpp:", "(line ");
      }
      EXPECT_NO_THROW(access({false, false}, Ordering::nothing));
      EXPECT_NO_THROW(access({true, true}, Ordering::barrier));
    }
  }
}

TEST(SimtRaces, TheMessageTellsBothThreadsAndWhatTheyDid) {
  EXPECT_ERROR(run("k", 2, 96, two_accesses, 7, true, 50, false, Ordering::nothing), DeviceError,
               "block 0, thread 50", "a load of element 3", "a store by thread 7");
  EXPECT_ERROR(run("k", 2, 96, two_accesses, 7, false, 50, true, Ordering::nothing), DeviceError,
               "block 0, thread 50", "a store of element 3", "a load by thread 7");
}

TEST(SimtRaces, AWarpBarrierOrdersItsOwnWarpAndAShuffleNone) {
  for (const bool b_stores : {false, true}) {
    EXPECT_NO_THROW(run("k", 2, 96, two_accesses, 3, true, 4, b_stores, Ordering::warp_barrier));
    EXPECT_NO_THROW(run("k", 2, 96, two_accesses, 3, true, 3, b_stores, Ordering::nothing));
    EXPECT_ERROR(run("k", 2, 96, two_accesses, 3, true, 40, b_stores, Ordering::warp_barrier),
                 DeviceError, "expected a barrier");
    EXPECT_ERROR(run("k", 2, 96, two_accesses, 3, true, 4, b_stores, Ordering::shuffle),
                 DeviceError, "expected a barrier");
  }
  EXPECT_NO_THROW(run("k", 2, 96, two_accesses, 3, false, 4, true, Ordering::warp_barrier));
  EXPECT_ERROR(run("k", 2, 96, two_accesses, 40, false, 4, true, Ordering::warp_barrier),
               DeviceError, "expected a barrier");
}

// One reader of another thread is enough, wherever it is among the others.
TEST(SimtRaces, OneOfManyReadersIsEnough) {
  for (const Options& how : all_orders) {
    const With with(how);
    for (const int writer : {0, 33, 95}) {
      for (const std::pair<int, int>& readers :
           {std::pair(0, 96), std::pair(1, 2), std::pair(31, 34), std::pair(64, 95)}) {
        EXPECT_ERROR(run("k", 2, 96, many_readers, readers.first, readers.second, writer),
                     DeviceError, "expected a barrier", "element 0");
      }
      EXPECT_NO_THROW(run("k", 2, 96, many_readers, writer, writer + 1, writer));
    }
  }
}

TEST(SimtRaces, ABlockHasNoneWithTheNextAndAThreadNoneWithItself) {
  for (const bool barriers : {true, false}) {
    EXPECT_NO_THROW(launch(context(), {.name = "k", .grid = 9, .block = 256, .barriers = barriers},
                           own_elements));
  }
}

TEST(SimtRaces, ATreeThatForgetsABarrierIsFoundInEveryOrder) {
  Buffer<float> x(256, [](std::size_t i) { return 1.f * i; }), y(1);
  const auto sum = [&](bool barriers) {
    run("tree", 1, 256, tree_sum, x.get(), y.get(), barriers);
  };
  for (const Options& how : all_orders) {
    const With with(how);
    sum(true);
    EXPECT_EQ(y[0], 255 * 128);
    EXPECT_ERROR(sum(false), DeviceError, "kernel 'tree'", "expected a barrier");
  }
  const With with({.races = false});
  EXPECT_NO_THROW(sum(false));
}

TEST(SimtRaces, AnIndexOutsideOfItsArrayIsFoundWhereItIsUsed) {
  const auto at = [](int i) { run("k", 1, 1, index_at, i); };
  EXPECT_NO_THROW(at(4));
  for (const int i : {5, 1 << 20, -1}) {
    EXPECT_ERROR(at(i), DeviceError, "kernel 'k', block 0, thread 0", "an index below 5",
                 "got " + std::to_string(i), "test_simt_races.cpp:");
  }
}

}  // namespace
}  // namespace hac::HAC_GPU
