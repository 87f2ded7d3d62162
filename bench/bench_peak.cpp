// The loops whose rate is the peak and the bandwidth, against the same by hand with intrinsics, in
// turns and on the same memory. DNNL_MAX_CPU_ISA=AVX2 lowers both.
// usage: bench_peak [trials]

#include <fmt/format.h>

#include "kernels/core/context.h"
#include "kernels/core/machine.h"

using namespace hac;

#if defined(__x86_64__)
#include "tests/support/handwritten_loops.h"

int main(int argc, char** argv) {
  limit_openmp_spinning(argv);
  set_num_threads(0);
  const int trials = argc > 1 ? std::stoi(argv[1]) : 200;
  const Machine m = this_machine();
  fmt::print("{}, {} threads, {}\n", m.cpu, m.threads, m.isa);
  const auto line = [](const char* what, const char* unit, const Rates& r) {
    fmt::print("{:<10} {:6.1f} {:<6}  by hand {:6.1f}  ratio {:.3f}   (wanted 0.85 to 1.15)\n",
               what, r.measured, unit, r.by_hand, r.measured / r.by_hand);
  };
  line("peak", "GMAC/s", peak_rates(trials));
  line("bandwidth", "GB/s", read_rates(trials));
  fmt::print("as doctor measures: {:.1f} GMAC/s, {:.1f} GB/s\n", measure_peak_gmacs().rate,
             measure_bandwidth_gbs().rate);
}
#else
int main() { fmt::print("written by hand for x86-64 alone\n"); }
#endif
