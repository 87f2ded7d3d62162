// The measured ceilings of kernels/core/machine.h.

#include <fmt/format.h>
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "kernels/core/context.h"
#include "kernels/core/error.h"
#include "kernels/core/machine.h"
#include "kernels/core/scheduler.h"
#include "kernels/cpu/ceiling_loops.h"
#include "kernels/cpu/host.h"

namespace hac {
namespace {

volatile float sink;

// The rate of work(trial, thread), which does so many units, on all threads at once: the best of
// many trials so short that some of them run undisturbed on a busy machine; up to four times as
// many until some have.
template <class Work>
Ceiling best_rate(double units, int threads, int trials, const SchedulerSource& counters,
                  Work work) {
  using Clock = std::chrono::steady_clock;
  constexpr int enough = 3;
  const auto run = [&](int trial) {
    float sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    sum += work(trial, omp_get_thread_num());
    sink = sum;
  };
  run(0);  // makes the threads, for the watch to see
  const SchedulerWatch watch;
  const auto read = [&] { return counters ? counters() : watch.read(); };
  double best = 0;
  int undisturbed = 0;
  for (int trial = 0; trial < trials || (undisturbed < enough && trial < 4 * trials); ++trial) {
    const SchedulerCounters before = read();
    const auto start = Clock::now();
    run(trial);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    undisturbed += !disturbed(before, read(), 1e3 * seconds);
    best = std::max(best, units * threads / seconds);
  }
  return {best * 1e-9, undisturbed >= enough};
}

std::size_t last_level_cache() {
#ifdef _SC_LEVEL3_CACHE_SIZE
  return static_cast<std::size_t>(std::max(sysconf(_SC_LEVEL3_CACHE_SIZE), 0l));  // -1: unknown
#else
  return 0;
#endif
}

}  // namespace

std::int64_t cpu::bandwidth_slices(std::size_t last_level_cache, std::size_t free) {
  constexpr auto size = static_cast<std::int64_t>(bandwidth_slice * sizeof(float));
  const auto cache = static_cast<std::int64_t>(last_level_cache);
  const std::int64_t wanted = std::max<std::int64_t>(ceil_div(4 * cache, size), 8);
  const std::int64_t slices = std::min(wanted, static_cast<std::int64_t>(free / 2) / size);
  return slices * size < 2 * std::max(cache, size) ? 0 : slices;
}

Ceiling measure_peak_gmacs(const SchedulerSource& counters, Dtype dtype) {
  constexpr std::int64_t rounds = 200'000;
  const int threads = num_threads();
  const cpu::CeilingLoops& loops = cpu::ceiling_loops;
  const bool bf16 = dtype == Dtype::bf16;
  const auto work = bf16 ? loops.multiply_add_bf16 : loops.multiply_add;
  const double macs = static_cast<double>(rounds) * (bf16 ? loops.bf16_macs : loops.macs);
  return best_rate(macs, threads, 60, counters, [&](int, int thread) {
    return work(rounds, 1e-6f * static_cast<float>(thread));
  });
}

Ceiling measure_bandwidth_gbs() {
  constexpr std::int64_t slice = cpu::bandwidth_slice;
  constexpr std::size_t huge_page = std::size_t{2} << 20;
  // Also what the control group leaves, which ends who touches more.
  const std::size_t free = host::memory({}).free;
  const std::size_t cache = last_level_cache();
  const std::int64_t slices = cpu::bandwidth_slices(cache, free);
  const std::size_t bytes = slices * slice * sizeof(float);
  const std::unique_ptr<void, decltype(&std::free)> memory(
      slices ? std::aligned_alloc(huge_page, bytes) : nullptr, &std::free);
  if (!memory) {
    throw OutOfMemory(
        fmt::format("bandwidth: expected memory to read that no cache of {} MiB holds, got {} MiB "
                    "free (hint: end what else runs here, or raise the memory limit)",
                    cache >> 20, free >> 20));
  }
  madvise(memory.get(), bytes, MADV_HUGEPAGE);
  float* data = static_cast<float*>(memory.get());
  const int threads = num_threads();
  const std::int64_t part = slice / threads;
  // Touched first by the thread that reads it, whose memory it then is.
#pragma omp parallel num_threads(threads)
  for (std::int64_t s = 0; s < slices; ++s) {
    std::fill_n(data + s * slice + part * omp_get_thread_num(), part, 1.f);
  }
  const double read_bytes = static_cast<double>(part) * sizeof(float);
  return best_rate(read_bytes, threads, 64, {}, [&](int trial, int thread) {
    return cpu::ceiling_loops.read(data + trial % slices * slice + part * thread, part);
  });
}

}  // namespace hac
