// What the host executor of simt costs: a CUDA thread, a shuffle, a barrier, an element of a loop
// without barriers. `each` is CPU time, on one thread.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <utility>

#include "bench/kernels/kernels.h"
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

// Launches that hold `events` of what `name` says.
template <class Kernel, class... Args>
void add(const std::string& name, Options how, Launch launched, std::int64_t events, Kernel kernel,
         Args... args) {
  for (const auto& [order_name, order] :
       {std::pair("forward", Order::forward), {"random", Order::random}}) {
    how.order = order;
    benchmark::RegisterBenchmark(
        fmt::format("executor/{}/block{}/{}", name, launched.block, order_name).c_str(),
        [=](benchmark::State& state) {
          const Options before = options();
          set_options(how);
          set_num_threads(1);
          Context& context = Context::current({DeviceKind::simt, 0});
          for (auto _ : state) launch(context, launched, kernel, args...);
          state.counters["each"] = benchmark::Counter(
              static_cast<double>(events),
              benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
          set_num_threads(0);
          set_options(before);
        });
  }
}

}  // namespace
}  // namespace hac::HAC_GPU

namespace hac::bench {

void add_executor() {
  using namespace hac::HAC_GPU;
  for (const int block : {32, 256, 1024}) {
    constexpr int grid = 16, steps = 64;
    const Launch how{.name = "bench", .grid = grid, .block = block};
    add("thread", {}, how, grid * block, empty);
    add("shuffle", {}, how, grid * block * steps, shuffle, steps);
    add("barrier", {}, how, grid * block * steps, synchronise, steps);
  }
  constexpr int n = 1 << 20;
  static const Tensor x = Tensor::zeros({n}, Dtype::f32, {DeviceKind::simt, 0}), y = x.clone();
  const Launch loop{.name = "scale", .grid = 256, .barriers = false};
  add("element", {}, loop, n, scale, x.as<float>(), y.as<float>(), n);
  add("element_unchecked", {.check = false}, loop, n, scale, x.as<float>(), y.as<float>(), n);
}

}  // namespace hac::bench
