// The measured ceilings of kernels/machine.h.

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "kernels/context.h"
#include "kernels/cpu/ceiling_loops.h"
#include "kernels/error.h"
#include "kernels/machine.h"

namespace hac {
namespace {

volatile float sink;

// Units a second, in 10^9, of work(thread) on all threads at once: the best of many trials so short
// that some of them run undisturbed on a busy machine.
template <class Work>
double best_rate(double units, int threads, int trials, Work work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int trial = 0; trial < trials; ++trial) {
    const auto start = Clock::now();
#pragma omp parallel num_threads(threads)
    sink = work(trial, omp_get_thread_num());
    best = std::max(best, units / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best * 1e-9;
}

struct Free {
  void operator()(void* p) const { std::free(p); }
};

}  // namespace

double measure_peak_gmacs() {
  constexpr std::int64_t rounds = 200'000;
  const int threads = num_threads();
  const cpu::CeilingLoops& loops = cpu::ceiling_loops;
  const double macs = static_cast<double>(rounds) * loops.macs * threads;
  return best_rate(macs, threads, 60, [&](int, int thread) {
    return loops.multiply_add(rounds, 1e-6f * static_cast<float>(thread));
  });
}

double measure_bandwidth_gbs() {
  // Each trial reads another slice, which the others have driven out of the caches.
  constexpr std::int64_t slices = 8, slice = std::int64_t{8} << 20, n = slices * slice;  // floats
  constexpr std::size_t bytes = n * sizeof(float), huge_page = std::size_t{2} << 20;
  const std::unique_ptr<void, Free> memory(std::aligned_alloc(huge_page, bytes));
  if (!memory) throw OutOfMemory("bandwidth: 256 MiB to read");
  madvise(memory.get(), bytes, MADV_HUGEPAGE);
  float* data = static_cast<float*>(memory.get());
  const int threads = num_threads();
  const std::int64_t part = slice / threads;
  // Touched first by the thread that reads it, whose memory it then is.
#pragma omp parallel num_threads(threads)
  for (std::int64_t s = 0; s < slices; ++s) {
    std::fill_n(data + s * slice + part * omp_get_thread_num(), part, 1.f);
  }
  const double read_bytes = static_cast<double>(part) * threads * sizeof(float);
  return best_rate(read_bytes, threads, 8 * slices, [&](int trial, int thread) {
    return cpu::ceiling_loops.read(data + trial % slices * slice + part * thread, part);
  });
}

}  // namespace hac
