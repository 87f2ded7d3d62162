#pragma once
// The machine that the numbers were taken on, and its measured ceilings.

#include <cstddef>
#include <optional>
#include <string>

#include "kernels/core/scheduler.h"
#include "kernels/core/types.h"

namespace hac {

struct Machine {
  std::string cpu;       // model name
  int cores = 1;         // that this process may run on
  int threads = 1;       // that kernels use
  std::string isa;       // what oneDNN dispatches to: "avx512_core_bf16"
  std::string onednn;    // "2.6.3"
  std::string compiler;  // "g++ 12.2.0"
  std::size_t memory_bytes = 0;
};

Machine this_machine();

// What this process may have of the machine, and the files of its control groups that say so. A
// limit of any level counts, from the process's own group up to the root, of cgroup v1 and v2.
struct Limits {
  int affinity = 1;                 // cores that it may run on
  std::optional<double> cpu_quota;  // cores' worth of time
  std::string cpu_quota_from;
  std::optional<std::size_t> memory_bytes;
  std::string memory_from;
};

const Limits& limits();                     // found once
Limits limits_in(const std::string& root);  // with the files below another root, for tests
// min(affinity, quota rounded up).
int threads_within(const Limits& limits);

// Highest resident set of this process so far.
std::size_t peak_resident_bytes();

// A measured ceiling: the best of many short trials.
struct Ceiling {
  double rate = 0;     // 10^9 a second
  bool steady = true;  // false: a busy machine disturbed nearly all trials, so it may be too low
};

// Multiply-accumulates of fused multiply-adds that stay in the registers of the instruction set in
// use, on all threads: the peak that utilization is a fraction of. Takes 0.1 s, on a busy machine
// up to four times that. `counters` stands in for those of the operating system. In bf16, where
// cpu::has_bf16(), of dot products by vectors; AMX's tiles do more.
Ceiling measure_peak_gmacs(const SchedulerSource& counters = {}, Dtype dtype = Dtype::f32);
// Bytes that all threads together read from memory. Takes 0.3 s and 256 MiB, or four times the
// last-level cache; less where less is free. Throws OutOfMemory where the caches could hold what is
// left, or there is none.
Ceiling measure_bandwidth_gbs();

// To be called first in main(). GNU OpenMP waits at every barrier by spinning for milliseconds,
// which makes a step tens of times slower as soon as another process wants one of the cores; a
// short spin costs nothing on an idle machine (bench/README.md has the figures). Only the
// environment sets it, GOMP_SPINCOUNT, which libgomp reads in its constructor: before any of the
// program's, and in .preinit_array, before that, setenv() does not last yet. So this sets it,
// unless the user chose a wait policy, and executes the program again.
void limit_openmp_spinning(char** argv);

}  // namespace hac
