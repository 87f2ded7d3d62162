#pragma once
// The machine that the numbers were taken on, and its measured ceilings.

#include <cstddef>
#include <string>

namespace hac {

struct Machine {
  std::string cpu;       // model name
  int cores = 1;         // that this process may use
  int threads = 1;       // that kernels use
  std::string isa;       // what oneDNN dispatches to: "avx512_core_bf16"
  std::string onednn;    // "2.6.3"
  std::string compiler;  // "g++ 12.2.0"
  std::size_t memory_bytes = 0;
};

Machine this_machine();

// Highest resident set of this process so far.
std::size_t peak_resident_bytes();

// Multiply-accumulates a second, in 10^9, of a register-resident fused multiply-add loop on all
// threads: the peak that utilization is a fraction of. Takes about 0.2 s.
double measure_peak_gmacs();
// Bytes a second, in 10^9, of reading an array much larger than the caches. Takes about 0.3 s.
double measure_bandwidth_gbs();

// To be called first in main(). GNU OpenMP waits at every barrier by spinning for milliseconds,
// which makes a step tens of times slower as soon as another process wants one of the cores; a
// short spin costs nothing on an idle machine (bench/README.md has the figures). It reads its
// settings when it is loaded, so this sets GOMP_SPINCOUNT, unless the user chose a wait policy, and
// executes the program anew.
void limit_openmp_spinning(char** argv);

}  // namespace hac
