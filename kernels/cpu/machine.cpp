#include "kernels/machine.h"

#include <fmt/format.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <dnnl.hpp>
#include <fstream>
#include <vector>

#include "kernels/context.h"
#include "kernels/cpu/isa.h"

namespace hac {
namespace {

// The value of "key : value" in a /proc file; "" if absent.
std::string proc_field(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    const auto value = line.find_first_not_of(" \t", colon + 1);
    if (colon != std::string::npos && value != std::string::npos) return line.substr(value);
  }
  return "";
}

int allowed_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : omp_get_num_procs();
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Enough independent chains to fill two FMA pipes of latency 4 at any vector width up to 512 bits.
constexpr int kLanes = 16, kChains = 12;

// Aligned as its elements, so that any array can be read through it.
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(4)));

// Unrolled even at -O2, or the chains live in memory. They tend to b/(1-a),
// which must not be 0: numbers that fade through the denormals cost a hundred times as much.
float fma_loop(std::int64_t rounds, float seed) {
  Lanes acc[kChains], a, b;
  for (int i = 0; i < kLanes; ++i) {
    a[i] = 0.999f + seed * i;
    b[i] = 0.001f * (i + 1);
  }
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) acc[c] = a + 0.1f * c;  // equal chains would be merged into one
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (auto& x : acc) x = x * a + b;
  }
  float sum = 0;
#pragma GCC unroll 12
  for (const auto& x : acc) sum += x[0] + x[kLanes - 1];
  return sum;
}

volatile float sink;

}  // namespace

Machine this_machine() {
  const dnnl_version_t* v = dnnl_version();
  Machine m;
  m.cpu = proc_field("/proc/cpuinfo", "model name");
  m.cores = allowed_cores();
  m.threads = num_threads();
  m.isa = cpu::isa_name();
  m.onednn = fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
#if defined(__clang__)
  m.compiler =
      fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  m.compiler = fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  m.memory_bytes = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  return m;
}

std::size_t peak_resident_bytes() {
  const std::string kib = proc_field("/proc/self/status", "VmHWM");
  return kib.empty() ? 0 : std::stoull(kib) * 1024;
}

double measure_peak_gmacs() {
  constexpr std::int64_t rounds = 2'000'000;
  const int threads = num_threads();
  double best = 0;
  for (int trial = 0; trial < 5; ++trial) {
    const double start = now();
#pragma omp parallel num_threads(threads)
    sink = fma_loop(rounds, 1e-6f * omp_get_thread_num());
    const double macs = static_cast<double>(rounds) * kLanes * kChains * threads;
    best = std::max(best, macs / (now() - start));
  }
  return best * 1e-9;
}

double measure_bandwidth_gbs() {
  constexpr std::int64_t n = std::int64_t{64} << 20;  // floats: 256 MiB
  std::vector<float> data(n, 1.f);
  const int threads = num_threads();
  double best = 0;
  for (int trial = 0; trial < 5; ++trial) {
    const double start = now();
#pragma omp parallel num_threads(threads)
    {
      const std::int64_t begin = n * omp_get_thread_num() / threads;
      const std::int64_t end = n * (omp_get_thread_num() + 1) / threads;
      Lanes sum = {};
      for (std::int64_t i = begin; i + kLanes <= end; i += kLanes) {
        sum += *reinterpret_cast<const Lanes*>(data.data() + i);
      }
      sink = sum[0];
    }
    best = std::max(best, n * sizeof(float) / (now() - start));
  }
  return best * 1e-9;
}

void limit_openmp_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  // The link's target and not the link, which would name the process "exe". Where any of this
  // fails, the program goes on as it is.
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  execv(path, argv);
}

}  // namespace hac
