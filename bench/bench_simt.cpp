// What the host executor costs: a CUDA thread, a switch of fibers, an element without barriers.

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

#include "kernels/device/device.cuh"

namespace hac::HAC_GPU {
namespace {

__global__ void empty() {}

__global__ void shuffle(int n) {
  for (int i = 0; i < n; ++i) __shfl_xor_sync(0xFFFFFFFFu, 1.f, 1);
}

__global__ void synchronise(int n) {
  for (int i = 0; i < n; ++i) __syncthreads();
}

__global__ void scale(const float* x, float* y, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    store(y + i, 2 * load(x + i));
  }
}

// CPU time of this thread, the best of several, in ns: on a busy machine the clock on the wall
// shows the other programs.
template <class F>
double time_ns(F&& f) {
  const auto now = [] {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e9 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec);
  };
  double best = 1e300;
  for (int i = 0; i < 10; ++i) {
    const double start = now();
    f();
    best = std::min(best, now() - start);
  }
  return best;
}

void report(const char* order) {
  Context& ctx = Context::current({DeviceKind::simt, 0});
  constexpr int grid = 64, n = 1 << 20, steps = 16;
  const auto a_thread = [&](int block, auto kernel, auto... args) {
    return time_ns([&] {
             launch(ctx, {.name = "bench", .grid = grid, .block = block}, kernel, args...);
           }) /
           (grid * block);
  };
  for (const int block : {32, 256, 1024}) {
    const double bare = a_thread(block, empty);
    fmt::print("{:8} block {:4}: {:.0f} ns a thread, + {:.0f} a shuffle, + {:.0f} a barrier\n",
               order, block, bare, (a_thread(block, shuffle, steps) - bare) / steps,
               (a_thread(block, synchronise, steps) - bare) / steps);
  }
  float* const x = static_cast<float*>(allocate(n * sizeof(float)));
  float* const y = static_cast<float*>(allocate(n * sizeof(float)));
  for (const bool check : {true, false}) {
    Options how = options();
    how.check = check;
    set_options(how);
    const double ns = time_ns(
        [&] { launch(ctx, {.name = "scale", .grid = 256, .barriers = false}, scale, x, y, n); });
    fmt::print("{:8} element of a barrier-free loop (1 load, 1 store, {}): {:.1f} ns\n", order,
               check ? "checked" : "unchecked", ns / n);
  }
  release(x);
  release(y);
}

}  // namespace
}  // namespace hac::HAC_GPU

int main() {
  using namespace hac::HAC_GPU;
  hac::set_num_threads(1);
  set_options({.order = Order::forward});
  report("forward");
  set_options({.order = Order::random});
  report("random");
}
